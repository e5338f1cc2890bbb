#include "tests/fuzz/random_program.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <type_traits>
#include <utility>
#include <variant>

#include "golden/program/queries.h"

namespace qsim::testing {
namespace {

constexpr std::int64_t kMostOperations = 8;

template <typename... T>
Instance AnyInstance(const Draw& draw, const std::variant<T...>* /*all*/) {
  using Make = Instance (*)(const Draw&);
  static constexpr Make kMakes[] = {
      [](const Draw& d) { return Arbitrary(std::type_identity<T>(), d); }...};
  return kMakes[static_cast<std::size_t>(draw(0, sizeof...(T) - 1))](draw);
}

using Naming = std::function<std::string(const std::string&)>;

// Every name of a tensor or constant in an operation.
void Rename(Op& op, const Naming& naming) {
  std::visit(
      [&](auto& o) {
        ForEachField(o, [&]<typename Member>(const Field& field, Member& member) {
          if constexpr (std::is_same_v<Member, std::string>) {
            if (field.role <= Role::kBias && !member.empty()) member = naming(member);
          }
        });
      },
      op);
}

class Composer {
 public:
  explicit Composer(const Draw& draw) : draw_(draw) {}

  Case Compose() {
    case_.steps.resize(static_cast<std::size_t>(draw_(1, 2)));
    for (std::int64_t left = draw_(1, kMostOperations); left > 0; --left) {
      const Instance instance = AnyInstance(draw_, static_cast<const Op*>(nullptr));
      const Case before = case_;
      Join(instance, true);
      if (IsValid()) continue;
      case_ = before;
      Join(instance, false);
      Validate(case_.program);
    }
    return std::move(case_);
  }

 private:
  bool IsValid() const {
    try {
      Validate(case_.program);
      return true;
    } catch (const ProgramError&) {
      return false;
    }
  }

  void Join(const Instance& instance, bool connected) {
    Program& program = case_.program;
    const std::string prefix = NextName();
    std::map<std::string, std::string> names;
    const Naming naming = [&](const std::string& name) {
      const auto found = names.find(name);
      return found == names.end() ? prefix + name : found->second;
    };
    for (const std::string& name : instance.program.inputs) {
      const TensorInfo& info = instance.program.Tensor(name);
      if (const auto source = connected ? Source(info) : std::nullopt) {
        names[name] = *source;
        continue;
      }
      Define(prefix + name, info.shape, info.range, info.dtype);
      program.inputs.push_back(prefix + name);
      case_.steps.front()[prefix + name] = instance.inputs.at(name);
      for (std::size_t step = 1; step < case_.steps.size(); ++step)
        case_.steps[step][prefix + name] = Values(info);
    }
    for (const auto& [name, tensor] : instance.program.constants)
      program.constants[prefix + name] = tensor;
    Op op = instance.program.ops.front();
    const TensorInfo& output = instance.program.Tensor(OutputOf(op));
    Define(prefix + output.name, output.shape, output.range, output.dtype);
    Rename(op, naming);
    program.ops.push_back(std::move(op));
    Carry(instance, prefix, names);
  }

  // What it reads as its past may be what it wrote in the step before.
  void Carry(const Instance& instance, const std::string& prefix,
             const std::map<std::string, std::string>& names) {
    const Op& op = instance.program.ops.front();
    std::string past;
    if (const auto* state = std::get_if<RecurrenceStateOp>(&op)) past = state->past;
    if (const auto* rows = std::get_if<LastRowsOp>(&op)) past = rows->past;
    if (past.empty() || names.contains(past) || draw_(0, 1) == 0) return;
    Program& program = case_.program;
    const std::string input = prefix + past;
    std::erase(program.inputs, input);
    program.constants[input + ".first"] = case_.steps.front().at(input);
    program.carried.push_back({prefix + OutputOf(op), input, input + ".first"});
    for (TensorMap& step : case_.steps) step.erase(input);
  }

  // A tensor of the program, turned into one like `wanted`; nothing where it cannot be, or is not
  // wanted.
  std::optional<std::string> Source(const TensorInfo& wanted) {
    const std::vector<TensorInfo>& tensors = case_.program.tensors;
    if (tensors.empty() || draw_(0, 7) == 0) return std::nullopt;
    // The newest ones more often: chains, not stars.
    const auto count = static_cast<std::int64_t>(tensors.size());
    const std::int64_t from = draw_(0, 1) == 0 ? 0 : std::max<std::int64_t>(0, count - 3);
    TensorInfo at = tensors[static_cast<std::size_t>(draw_(from, count - 1))];
    const bool same_codes = at.range == wanted.range && at.dtype == wanted.dtype;
    if (!same_codes && BitsOf(wanted.dtype) > 16 && !Widens(at, wanted)) return std::nullopt;
    const bool shape_first = draw_(0, 1) == 0;
    if (shape_first && at.shape != wanted.shape) at = Viewed(at, wanted.shape);
    if (!same_codes) at = BitsOf(wanted.dtype) > 16 ? Summed(at) : Requantized(at, wanted);
    if (at.shape != wanted.shape) at = Viewed(at, wanted.shape);
    return at.name;
  }

  static bool Widens(const TensorInfo& at, const TensorInfo& wanted) {
    return BitsOf(at.dtype) <= 16 && wanted.dtype == DType::kInt32 &&
           wanted.range == QuantRange{INT32_MIN, INT32_MAX};
  }

  TensorInfo Summed(const TensorInfo& at) {
    const std::string name = NextName() + "sum";
    const std::int64_t channels = at.shape.back();
    std::vector<std::int32_t> bias;
    for (std::int64_t c = 0; c < channels; ++c)
      bias.push_back(static_cast<std::int32_t>(draw_(-1000000, 1000000)));
    case_.program.constants[name + ".bias"] = IntTensor({channels}, std::move(bias));
    AddOp op;
    op.output = name;
    op.a = at.name;
    op.bias = name + ".bias";
    case_.program.ops.emplace_back(std::move(op));
    return Define(name, at.shape, {INT32_MIN, INT32_MAX}, DType::kInt32);
  }

  TensorInfo Requantized(const TensorInfo& at, const TensorInfo& wanted) {
    const std::string name = NextName() + "codes";
    RequantizeOp op;
    op.output = name;
    op.input = at.name;
    op.axis = static_cast<ChannelAxis>(draw_(0, 2));
    const std::int64_t channels = draw_(0, 1) == 0 ? 1 : LayoutOf(at.shape, op.axis).channels;
    // Most results inside the range, some not.
    const int bits = BitsOf(at.dtype) > 16 ? 24 : 6;
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto m = static_cast<std::int32_t>(draw_(1, 1 << 16));
      op.scale.push_back({draw_(0, 3) == 0 ? -m : m, static_cast<int>(draw_(bits, bits + 16))});
    }
    const std::int64_t zeros = draw_(0, 1) == 0 ? 1 : LayoutOf(at.shape, op.axis).channels;
    for (std::int64_t c = 0; c < zeros; ++c)
      op.zero.push_back(static_cast<std::int32_t>(draw_(wanted.range.qmin, wanted.range.qmax)));
    if (BitsOf(at.dtype) <= 16) op.input_zero = static_cast<std::int32_t>(draw_(-300, 300));
    op.rounding = static_cast<Rounding>(draw_(0, 4));
    case_.program.ops.emplace_back(std::move(op));
    return Define(name, at.shape, wanted.range, wanted.dtype);
  }

  // Any elements in any order, some of them many times.
  TensorInfo Viewed(const TensorInfo& at, const Shape& shape) {
    ViewOp op;
    op.output = NextName() + "view";
    op.input = at.name;
    std::int64_t room = ElementCount(at.shape) - 1;
    for (const std::int64_t extent : shape) {
      const std::int64_t most = extent > 1 ? room / (extent - 1) : 3;
      const std::int64_t stride = draw_(-most, most);
      op.strides.push_back(stride);
      const std::int64_t reach = (extent - 1) * stride;
      room -= std::abs(reach);
      if (reach < 0) op.offset -= reach;
    }
    op.offset += draw_(0, room);
    const std::string name = op.output;
    case_.program.ops.emplace_back(std::move(op));
    return Define(name, shape, at.range, at.dtype);
  }

  IntTensor Values(const TensorInfo& info) const {
    IntTensor tensor(info.dtype, info.shape);
    std::visit(
        [&](auto& storage) {
          using T = typename std::decay_t<decltype(storage)>::value_type;
          for (T& value : storage) value = static_cast<T>(draw_(info.range.qmin, info.range.qmax));
        },
        tensor.storage());
    return tensor;
  }

  TensorInfo Define(const std::string& name, const Shape& shape, QuantRange range, DType dtype) {
    case_.program.tensors.push_back({name, shape, dtype, range});
    return case_.program.tensors.back();
  }
  std::string NextName() const { return std::to_string(case_.program.ops.size()) + "."; }

  const Draw& draw_;
  Case case_;
};

}  // namespace

Draw DrawFrom(std::string_view bytes) {
  std::uint64_t seed = 14695981039346656037U;  // FNV-1a
  for (const char c : bytes) seed = (seed ^ static_cast<unsigned char>(c)) * 1099511628211U;
  struct Source {
    std::string bytes;
    std::size_t at;
    std::mt19937_64 engine;
  };
  const auto source =
      std::make_shared<Source>(Source{std::string(bytes), 0, std::mt19937_64(seed)});
  return [source](std::int64_t lo, std::int64_t hi) {
    const std::uint64_t span = static_cast<std::uint64_t>(hi) - static_cast<std::uint64_t>(lo);
    std::uint64_t value = 0;
    if (source->at < source->bytes.size()) {
      for (std::uint64_t left = span; left > 0 && source->at < source->bytes.size(); left >>= 8)
        value = value << 8 | static_cast<unsigned char>(source->bytes[source->at++]);
    } else {
      value = source->engine();
    }
    if (span != UINT64_MAX) value %= span + 1;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(lo) + value);
  };
}

Case DrawCase(const Draw& draw) { return Composer(draw).Compose(); }

}  // namespace qsim::testing
