#include "golden/program/queries.h"

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <utility>

#include "golden/program/accumulator_proof.h"

namespace qsim::golden {
namespace {

template <typename AnyOp, typename Acc>
Acc* FindAccumulator(AnyOp& op) {
  Acc* found = nullptr;
  ForEachParameterOf(op, [&]<typename T>(const Field& /*field*/, T& member) {
    if constexpr (std::is_same_v<std::remove_const_t<T>, Accumulator>) found = &member;
  });
  return found;
}

template <typename T>
constexpr bool kIsInteger = std::is_integral_v<T> || std::is_enum_v<T>;

template <typename T>
void Append(const T& member, std::vector<std::int64_t>& values) {
  if constexpr (kIsInteger<T>) {
    values.push_back(static_cast<std::int64_t>(member));
  } else if constexpr (kIsVector<T>) {
    for (const auto& entry : member) Append(entry, values);
  }
}

// The shift that stands beside multipliers without one of their own.
std::optional<int> CommonShiftOf(const Op& op) {
  std::optional<int> shift;
  ForEachParameterOf(op, [&]<typename T>(const Field& field, const T& member) {
    if constexpr (std::is_integral_v<T>) {
      if (field.role == Role::kShift) shift = static_cast<int>(member);
    }
  });
  return shift;
}

}  // namespace

const Op* ProducerOf(const Program& program, std::string_view tensor) {
  const auto found = std::find_if(program.ops.begin(), program.ops.end(),
                                  [&](const Op& op) { return OutputOf(op) == tensor; });
  return found == program.ops.end() ? nullptr : &*found;
}

Op* ProducerOf(Program& program, std::string_view tensor) {
  return const_cast<Op*>(ProducerOf(std::as_const(program), tensor));
}

std::vector<std::string> ReadersOf(const Program& program, std::string_view tensor) {
  std::vector<std::string> readers;
  for (const Op& op : program.ops) {
    const std::vector<std::string> inputs = InputsOf(op);
    if (std::find(inputs.begin(), inputs.end(), tensor) != inputs.end())
      readers.push_back(OutputOf(op));
  }
  return readers;
}

const Accumulator* AccumulatorOf(const Op& op) {
  return FindAccumulator<const Op, const Accumulator>(op);
}
Accumulator* AccumulatorOf(Op& op) { return FindAccumulator<Op, Accumulator>(op); }

std::optional<LinearOperands> LinearOperandsOf(const Op& op) {
  LinearOperands linear;
  linear.weight = WeightOf(op);
  if (linear.weight.empty() || InputsOf(op).size() != 1) return std::nullopt;
  ForEachParameterOf(op, [&]<typename T>(const Field& field, const T& member) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (field.role == Role::kReads) linear.input = member;
      if (field.role == Role::kBias) linear.bias = member;
    } else if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
      if (field.role == Role::kInputZero) linear.weight_zero = member;
    }
  });
  return linear;
}

bool IsProductOfTensors(const Op& op) {
  return AccumulatorOf(op) != nullptr && WeightOf(op).empty();
}

std::int64_t MacsOf(const Program& program, const Op& op, std::int64_t length) {
  return std::visit(
      [&](const auto& o) -> std::int64_t {
        if constexpr (requires { o.Macs(program, length); }) {
          return o.Macs(program, AtLength(program.Tensor(o.key), length).shape[0]);
        } else if constexpr (requires { ProveAccumulator(program, o); }) {
          return ProveAccumulator(program, o).depth *
                 ElementCount(AtLength(program.Tensor(o.output), length).shape);
        } else {
          return 0;
        }
      },
      op);
}

std::int64_t ChunkRows(const Program& program) {
  std::int64_t rows = 1;
  for (const Op& op : program.ops) {
    std::visit(
        [&](const auto& o) {
          if constexpr (requires { o.update.chunk; })
            rows = std::lcm(rows, std::max<std::int64_t>(o.update.chunk, 1));
        },
        op);
  }
  return rows;
}

bool SuitsAnyGrid(const Op& op) {
  bool suits = std::holds_alternative<LookupOp>(op);  // its rows are codes of that grid
  ForEachParameterOf(op, [&](const Field& field, const auto& /*member*/) {
    suits = suits || field.role == Role::kMultiplier || field.role == Role::kAddend ||
            field.role == Role::kTable;
  });
  return suits;
}

std::vector<Integers> IntegersOf(const Op& op, Role role) {
  std::vector<Integers> lists;
  ForEachParameterOf(op, [&](const Field& field, const auto& member) {
    Integers list{field, {}};
    if (field.role == role) Append(member, list.values);
    if (!list.values.empty()) lists.push_back(std::move(list));
  });
  return lists;
}

std::vector<RatioList> RatiosOf(const Op& op) {
  const std::optional<int> shift = CommonShiftOf(op);
  std::vector<RatioList> lists;
  ForEachParameterOf(op, [&]<typename T>(const Field& field, const T& member) {
    if (field.role != Role::kMultiplier) return;
    if constexpr (std::is_same_v<T, std::vector<Multiplier>>) {
      lists.push_back({member});
    } else if constexpr (std::is_same_v<T, Multiplier>) {
      lists.push_back({{member}});
    } else {
      std::vector<std::int64_t> multipliers;
      Append(member, multipliers);
      RatioList list{{}, true};
      for (const std::int64_t m : multipliers)
        list.values.push_back({static_cast<std::int32_t>(m), shift.value_or(0)});
      lists.push_back(std::move(list));
    }
  });
  return lists;
}

void SetRatios(const std::vector<RatioList>& ratios, Op& op) {
  std::size_t next = 0;
  ForEachParameterOf(op, [&]<typename T>(const Field& field, T& member) {
    if constexpr (std::is_integral_v<T>) {
      if (field.role == Role::kShift) member = ratios.front().values.front().shift;
    }
    if (field.role != Role::kMultiplier) return;
    const std::vector<Multiplier>& values = ratios.at(next++).values;
    if constexpr (std::is_same_v<T, std::vector<Multiplier>>) {
      member = values;
    } else if constexpr (std::is_same_v<T, Multiplier>) {
      member = values.front();
    } else if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
      for (std::size_t i = 0; i < member.size(); ++i) member[i] = values[i].m;
    } else if constexpr (std::is_integral_v<T>) {
      member = values.front().m;
    }
  });
}

RequantScheme SchemeOf(const Op& op) {
  RequantScheme scheme = RequantScheme::kRoundShift;
  ForEachParameterOf(op, [&]<typename T>(const Field& /*field*/, const T& member) {
    if constexpr (std::is_same_v<T, RequantScheme>) scheme = member;
  });
  return scheme;
}

}  // namespace qsim::golden
