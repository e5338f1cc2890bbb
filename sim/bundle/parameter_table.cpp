#include "sim/bundle/parameter_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <type_traits>

#include "golden/program/accumulator_proof.h"
#include "sim/error.h"

namespace qsim::bundle {
namespace {

// Builds one group; the channel axis of the vectors to come is set by the caller's `axis`
// arguments.
class GroupBuilder {
 public:
  GroupBuilder(std::string name, std::string kind) {
    group_.name = std::move(name);
    group_.kind = std::move(kind);
  }

  void Int(const std::string& name, int bits, bool is_signed, std::int64_t value) {
    Add(name, {}, "", ExportInts{bits, is_signed, {value}});
  }
  template <typename T>
  void Ints(const std::string& name, int bits, bool is_signed, const std::string& axis,
            const std::vector<T>& values) {
    Add(name, {static_cast<std::int64_t>(values.size())}, axis,
        ExportInts{bits, is_signed, {values.begin(), values.end()}});
  }
  void Reals(const std::string& name, const std::string& axis, const std::vector<double>& values) {
    Add(name, {static_cast<std::int64_t>(values.size())}, axis, values);
  }
  void Text(const std::string& name, const std::string& value) { Add(name, {}, "", value); }
  void Choice(const std::string& name, const std::string& set, const std::string& value,
              std::int64_t code) {
    Add(name, {}, "", ExportChoice{set, value, code});
  }
  template <typename Enum>
  void Choice(const std::string& name, const std::string& set, Enum value) {
    Choice(name, set, std::string(Name(value)), static_cast<std::int64_t>(value));
  }
  void Multipliers(const std::string& name, const std::string& axis,
                   const std::vector<Multiplier>& scale) {
    std::vector<std::int32_t> m, shift;
    for (const Multiplier& entry : scale) {
      m.push_back(entry.m);
      shift.push_back(entry.shift);
    }
    Ints(name, 32, true, axis, m);
    MarkMultiplier();
    Ints(ShiftsOf(name), 8, false, axis, shift);
  }
  // The parameter that was added last.
  void MarkMultiplier() { group_.parameters.back().multiplier = true; }
  void Clamp(const QuantRange& range) {
    Int("clamp_min", 32, true, range.qmin);
    Int("clamp_max", 32, true, range.qmax);
  }
  void Accumulate(const Accumulator& acc, const AccumulatorProof& proof) {
    Int("acc_bits", 8, false, acc.bits);
    Choice("acc_policy", "acc_policy", acc.policy);
    const std::size_t proven = group_.parameters.size();
    Int("acc_bits_needed", 8, false, proof.bits_needed);
    Int("acc_worst_min", 64, true, proof.range.min);
    Int("acc_worst_max", 64, true, proof.range.max);
    Int("acc_worst_channel", 32, true, proof.worst_channel);
    NotStoredFrom(proven);
  }
  // The values of a constant of the program, which is stored on its own.
  void Constant(const std::string& name, const std::vector<std::int32_t>& values) {
    const std::size_t first = group_.parameters.size();
    Ints(name, 32, true, "channel", values);
    NotStoredFrom(first);
  }
  ExportGroup Take() { return std::move(group_); }

 private:
  template <typename Value>
  void Add(const std::string& name, Shape shape, const std::string& axis, Value value) {
    group_.parameters.push_back({name, std::move(shape), axis, std::move(value)});
  }
  void NotStoredFrom(std::size_t first) {
    for (std::size_t i = first; i < group_.parameters.size(); ++i)
      group_.parameters[i].stored = false;
  }
  ExportGroup group_;
};

// What the entries of a per-channel list run along. One entry means the whole tensor.
template <typename T>
std::string AxisOf(const std::vector<T>& list, const std::string& axis) {
  return list.size() > 1 ? axis : "tensor";
}

std::string AxisName(ChannelAxis axis) { return axis == ChannelAxis::kFirst ? "head" : "channel"; }

// The sets of names that formats without strings count.
std::string SetOf(Rounding) { return "rounding"; }
std::string SetOf(RequantScheme) { return "requant_scheme"; }
std::string SetOf(OperandMode) { return "operand_mode"; }
std::string SetOf(SoftmaxDivision) { return "softmax_division"; }

// Adds the parameters of one operation, by what its fields say of them.
class OperationFields {
 public:
  OperationFields(GroupBuilder& group, const Program& program, const Op& op)
      : group_(group), program_(program), op_(op) {}

  template <typename T>
  void operator()(const Field& field, const T& member) {
    const std::string name(field.name);
    if (field.role == Role::kWrites || field.role == Role::kReads) return;
    if constexpr (std::is_same_v<T, ChannelAxis>) {
      return;  // each list says what it runs along
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!member.empty()) Constant(name, field.role, member);
    } else if constexpr (std::is_same_v<T, Accumulator>) {
      std::visit(
          [&](const auto& o) {
            if constexpr (requires { ProveAccumulator(program_, o); })
              group_.Accumulate(member, ProveAccumulator(program_, o));
          },
          op_);
    } else if constexpr (std::is_same_v<T, Multiplier>) {
      group_.Multipliers(name, "tensor", {member});
    } else if constexpr (std::is_same_v<T, std::vector<Multiplier>>) {
      group_.Multipliers(name, AxisOf(member, std::string(Name(field.axis))), member);
    } else if constexpr (kIsVariant<T>) {
      Algorithm(name, member);
      std::visit([this](const auto& params) { ForEachField(params, *this); }, member);
    } else if constexpr (kIsVectorOfVariants<T>) {
      Algorithm(name, member.front());
      for (const Column& column : ColumnsOf(member)) {
        if (column.field.optional && column.values.empty()) continue;
        std::string axis = AxisOf(column.values, std::string(Name(field.axis)));
        // The lists of several heads stand one behind the other.
        if (column.list()) axis = member.size() > 1 ? "head, code" : "code";
        group_.Ints(std::string(column.field.name), column.field.bits, column.field.is_signed, axis,
                    column.values);
      }
    } else if constexpr (kIsVector<T>) {
      if (field.optional && member.empty()) return;
      if (field.role == Role::kTable) {
        has_table_ = true;
        group_.Int(name + "_first_code", 32, true,
                   program_.Tensor(InputsOf(op_).front()).range.qmin);
      }
      const std::string axis(Name(field.axis));
      group_.Ints(name, field.bits, field.is_signed,
                  field.role == Role::kTable ? axis : AxisOf(member, axis), member);
      if (field.role == Role::kMultiplier) group_.MarkMultiplier();
    } else if constexpr (std::is_enum_v<T>) {
      group_.Choice(name, SetOf(member), member);
    } else {
      if (field.optional && member == T{}) return;
      group_.Int(name, field.bits, field.is_signed, static_cast<std::int64_t>(member));
      if (field.role == Role::kMultiplier) group_.MarkMultiplier();
    }
  }
  template <typename T>
  void Fixed(const Field& field, T value) {
    (*this)(field, value);
  }

  bool has_table() const { return has_table_; }

 private:
  void Constant(const std::string& name, Role role, const std::string& constant) {
    if (role != Role::kBias) return group_.Text(name, constant);
    group_.Text(name + "_name", constant);
    group_.Constant(name, program_.Constant(constant).As<std::int32_t>());
  }
  template <typename Variant>
  void Algorithm(const std::string& name, const Variant& algorithm) {
    group_.Choice(name, std::string(KindName(op_)), std::string(NameOfAlgorithm(algorithm)),
                  static_cast<std::int64_t>(algorithm.index()));
  }

  GroupBuilder& group_;
  const Program& program_;
  const Op& op_;
  bool has_table_ = false;
};

ExportGroup OperationGroup(const Program& program, const Op& op) {
  GroupBuilder group(OutputOf(op), std::string(KindName(op)));
  const std::vector<std::string> inputs = InputsOf(op);
  for (std::size_t i = 0; i < inputs.size(); ++i) group.Text(fmt::format("input{}", i), inputs[i]);
  OperationFields fields(group, program, op);
  std::visit([&](const auto& o) { ForEachField(o, fields); }, op);
  // A table's entries lie within the range already.
  if (Describe(op).clamps && !fields.has_table()) group.Clamp(program.Tensor(OutputOf(op)).range);
  return group.Take();
}

void AddScale(GroupBuilder& group, const std::string& tensor, const std::string& axis,
              const TensorScale& scale) {
  const bool log2 = scale.kind == TensorScale::Kind::kLog2;
  group.Text("scale_kind", log2 ? "log2" : "linear");
  if (log2) return;
  for (const double value : scale.scale) {
    if (!std::isfinite(value))
      throw InputError(fmt::format("export: a scale of tensor '{}' is not finite", tensor));
  }
  group.Reals("scale", AxisOf(scale.scale, axis), scale.scale);
  group.Ints("zero_point", 32, true, AxisOf(scale.zero, axis), scale.zero);
}

ExportGroup TensorGroup(const Bundle& bundle, const TensorInfo& info) {
  GroupBuilder group(info.name, "tensor");
  group.Text("dtype", std::string(Name(info.dtype)));
  group.Ints("shape", 32, false, "dimension", info.shape);
  group.Int("qmin", 32, true, info.range.qmin);
  group.Int("qmax", 32, true, info.range.qmax);
  const auto scale = bundle.scales.find(info.name);
  if (scale != bundle.scales.end())
    AddScale(group, info.name, AxisName(scale->second.axis), scale->second);
  return group.Take();
}

ExportGroup ConstantGroup(const Bundle& bundle, const std::string& name, const TensorScale& scale) {
  GroupBuilder group(name, "constant");
  const auto constant = bundle.program.constants.find(name);
  if (constant != bundle.program.constants.end()) {
    group.Text("dtype", std::string(Name(constant->second.dtype())));
    group.Ints("shape", 32, false, "dimension", constant->second.shape());
  }
  // The first axis of a weight is its output channel.
  AddScale(group, name, "channel", scale);
  return group.Take();
}

ExportGroup HardwareGroup(const HardwareParams& hardware) {
  GroupBuilder group("hardware", "hardware");
  group.Int("array_rows", 32, false, hardware.array_rows);
  group.Int("array_cols", 32, false, hardware.array_cols);
  group.Int("multiplier_bits", 8, false, hardware.multiplier_bits);
  group.Int("power_of_two", 8, false, hardware.power_of_two ? 1 : 0);
  return group.Take();
}

ExportGroup ProvenanceGroup(const Provenance& provenance, const ModelContracts& contracts) {
  GroupBuilder group("provenance", "provenance");
  group.Text("qsim_version", provenance.qsim_version);
  group.Text("config_sha256", provenance.config_hash);
  group.Text("weights_sha256", provenance.weights_hash);
  group.Text("contract", provenance.contract);
  group.Text("contract_sha256", provenance.contract_hash);
  for (const NumericsContract::Choice& choice : contracts.model.Operations()) {
    group.Text("contract_" + choice.operation, choice.scheme);
  }
  return group.Take();
}

template <typename Values>
void AddChoices(ExportTable& table, const std::string& set, const Values& values) {
  for (const auto value : values)
    table.choices.push_back({set, std::string(Name(value)), static_cast<std::int64_t>(value)});
}

template <typename Algorithms>
void AddAlgorithms(ExportTable& table, const std::string& set) {
  for (const std::string_view name : AlgorithmNames<Algorithms>::kNames) {
    table.choices.push_back(
        {set, std::string(name), static_cast<std::int64_t>(*AlgorithmNamed<Algorithms>(name))});
  }
}

void RequireDistinctIdentifiers(const ExportTable& table) {
  std::map<std::string, std::string> seen;
  for (const auto* groups : {&table.operations, &table.tensors}) {
    for (const ExportGroup& group : *groups) {
      for (const ExportParameter& parameter : group.parameters) {
        const std::string what = group.name + " " + parameter.name;
        const auto [at, inserted] =
            seen.try_emplace(ExportIdentifier(group.name, parameter.name), what);
        if (!inserted)
          throw InputError(fmt::format("export: '{}' and '{}' both become '{}'; rename one tensor",
                                       at->second, what, at->first));
      }
    }
  }
}

}  // namespace

ExportTable BuildExportTable(const Bundle& bundle) {
  ExportTable table;
  AddChoices(table, "rounding", kAllRoundings);
  AddChoices(table, "acc_policy",
             std::array{AccPolicy::kError, AccPolicy::kWrap, AccPolicy::kSaturate});
  AddChoices(table, "operand_mode", std::array{OperandMode::kMultiply, OperandMode::kShift});
  AddAlgorithms<SoftmaxParams>(table, "softmax");
  AddChoices(table, "softmax_division", AllOf<SoftmaxDivision>());
  AddChoices(table, "requant_scheme", kAllRequantSchemes);
  AddAlgorithms<LayernormParams>(table, "layernorm");
  AddAlgorithms<GeluParams>(table, "gelu");
  table.provenance = ProvenanceGroup(bundle.provenance, bundle.contracts);
  table.hardware = HardwareGroup(bundle.hardware);
  for (const Op& op : bundle.program.ops)
    table.operations.push_back(OperationGroup(bundle.program, op));
  for (const TensorInfo& info : bundle.program.tensors)
    table.tensors.push_back(TensorGroup(bundle, info));
  for (const auto& [name, scale] : bundle.scales) {
    if (bundle.program.FindTensor(name) == nullptr)
      table.tensors.push_back(ConstantGroup(bundle, name, scale));
  }
  RequireDistinctIdentifiers(table);
  return table;
}

std::string ExportIdentifier(const std::string& group, const std::string& parameter) {
  std::string out = "qsim_" + group + (parameter.empty() ? "" : "_" + parameter);
  std::replace_if(
      out.begin(), out.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return out;
}

std::string RealText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find('.') != std::string::npos) return text;
  const std::size_t exponent = text.find('e');
  return text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
}

}  // namespace qsim::bundle
