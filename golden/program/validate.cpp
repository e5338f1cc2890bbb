#include <algorithm>
#include <set>
#include <string>

#include "golden/program/accumulator_proof.h"
#include "golden/program/program.h"

namespace qsim {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;
constexpr std::int64_t kMaxDepth = 65535;
constexpr std::int64_t kMaxChannels = 65536;
constexpr std::int32_t kMaxZero = 1 << 16;
constexpr std::int32_t kMaxPosition = (1 << 16) - 1;

class Validator {
 public:
  explicit Validator(const Program& program) : program_(program) {}

  void Check() {
    for (const TensorInfo& info : program_.tensors) CheckTensor(info);
    for (const std::string& name : program_.inputs) {
      where_ = "input '" + name + "'";
      program_.Tensor(name);
      Require(defined_.insert(name).second, "is listed twice");
    }
    for (const Op& op : program_.ops) {
      where_ = std::string(KindName(op)) + " '" + OutputOf(op) + "'";
      program_.Tensor(OutputOf(op));
      for (const std::string& input : InputsOf(op)) {
        Require(defined_.contains(input), "uses '" + input + "' before it is computed");
      }
      std::visit([this](const auto& o) { CheckOp(o); }, op);
      Require(defined_.insert(OutputOf(op)).second, "is computed twice");
    }
    for (const AccumulatorProof& proof : ProveAccumulators(program_)) {
      where_ = "'" + proof.tap + "'";
      Require(proof.acc.policy != AccPolicy::kError || proof.fits(),
              "needs an accumulator of " + std::to_string(proof.bits_needed) + " bits" +
                  (proof.worst_channel >= 0
                       ? " (output channel " + std::to_string(proof.worst_channel) + ")"
                       : "") +
                  " in the worst case, but has " + std::to_string(proof.acc.bits) +
                  " under policy error; widen acc_bits or choose acc_policy wrap or saturate");
    }
  }

 private:
  void Require(bool condition, const std::string& what) const {
    if (!condition) throw ProgramError(where_ + ": " + what);
  }

  void CheckTensor(const TensorInfo& info) {
    where_ = "tensor '" + info.name + "'";
    Require(names_.insert(info.name).second, "is defined twice");
    Require(info.shape.size() == 2 || info.shape.size() == 3, "must have 2 or 3 dimensions");
    std::int64_t elements = 1;
    for (const std::int64_t dim : info.shape) {
      Require(dim >= 1 && dim <= kMaxElements / elements, "has an impossible shape");
      elements *= dim;
    }
    Require(info.range.qmin < info.range.qmax, "has an empty range");
    const int bits = BitsOf(info.dtype);
    const std::int64_t lowest = IsSigned(info.dtype) ? -(std::int64_t{1} << (bits - 1)) : 0;
    const std::int64_t highest = lowest + ((std::int64_t{1} << std::min(bits, 32)) - 1);
    Require(bits <= 32 && info.range.qmin >= lowest && info.range.qmax <= highest,
            "has a range that its type " + std::string(Name(info.dtype)) + " cannot hold");
  }

  const TensorInfo& Tensor(const std::string& name) const { return program_.Tensor(name); }

  void RequireShape(const std::string& name, const Shape& shape) const {
    Require(Tensor(name).shape == shape, "'" + name + "' has the wrong shape");
  }

  void RequireNarrow(const std::string& name) const {
    const DType dtype = Tensor(name).dtype;
    Require(dtype == DType::kInt8 || dtype == DType::kUint8,
            "'" + name + "' must be int8 or uint8");
  }

  void RequireCount(std::size_t count, std::int64_t channels, const std::string& what) const {
    Require(count == 1 || static_cast<std::int64_t>(count) == channels,
            what + " needs one entry or " + std::to_string(channels) + ", has " +
                std::to_string(count));
  }

  void RequireWithin(const std::vector<std::int32_t>& values, std::int32_t lo, std::int32_t hi,
                     const std::string& what) const {
    for (std::size_t i = 0; i < values.size(); ++i) {
      Require(values[i] >= lo && values[i] <= hi,
              what + "[" + std::to_string(i) + "] is " + std::to_string(values[i]) +
                  ", must be in " + std::to_string(lo) + ".." + std::to_string(hi));
    }
  }

  void RequireScales(const std::vector<Multiplier>& scales, std::int64_t channels) const {
    RequireCount(scales.size(), channels, "scale");
    for (std::size_t i = 0; i < scales.size(); ++i) {
      const Multiplier& s = scales[i];
      Require(s.m != 0 && s.m != INT32_MIN, "multiplier of channel " + std::to_string(i) + " is " +
                                                std::to_string(s.m) + ", out of range");
      Require(s.shift >= 0 && s.shift <= 62, "shift of channel " + std::to_string(i) + " is " +
                                                 std::to_string(s.shift) + ", must be in 0..62");
    }
  }

  void RequireAccumulator(const Accumulator& acc, const std::string& output) const {
    Require(acc.bits >= 16 && acc.bits <= 32, "accumulator width must be 16..32");
    const TensorInfo& info = Tensor(output);
    const std::int64_t half = std::int64_t{1} << (acc.bits - 1);
    Require(info.dtype == DType::kInt32 && info.range.qmin <= -half && info.range.qmax >= half - 1,
            "output must be int32 and hold the accumulator's range");
  }

  void CheckOp(const GemmOp& op) const {
    RequireNarrow(op.input);
    const IntTensor& weight = program_.Constant(op.weight);
    Require(weight.dtype() == DType::kInt8 && weight.shape().size() == 2,
            "weight must be int8 [N, K]");
    const std::int64_t channels = weight.shape()[0];
    const std::int64_t depth = weight.shape()[1];
    Require(depth <= kMaxDepth && channels <= kMaxChannels, "weight is too large");
    const Shape& input = Tensor(op.input).shape;
    Require(input.size() == 2 && input[1] == depth, "weight and input do not fit");
    Require(op.rows >= 0 && op.rows <= input[0], "rows is " + std::to_string(op.rows) +
                                                     ", must be 0 (all) or up to the input's " +
                                                     std::to_string(input[0]));
    RequireShape(op.output, {op.rows == 0 ? input[0] : op.rows, channels});
    const IntTensor& bias = program_.Constant(op.bias);
    Require(bias.dtype() == DType::kInt32 && bias.shape() == Shape{channels},
            "bias must be int32 [N]");
    if (!op.weight_zero.empty()) RequireCount(op.weight_zero.size(), channels, "weight_zero");
    RequireWithin(op.weight_zero, -128, 127, "weight_zero");
    RequireAccumulator(op.acc, op.output);
  }

  void CheckOp(const MatmulOp& op) const {
    RequireNarrow(op.lhs);
    Require(Tensor(op.rhs).dtype == DType::kInt8, "'" + op.rhs + "' must be int8");
    const Shape& rhs = Tensor(op.rhs).shape;
    Require(rhs.size() == 2 && op.heads >= 1 && rhs[1] % op.heads == 0,
            "heads must divide channels");
    const std::int64_t tokens = rhs[0];
    const Shape scores = {op.heads, tokens, tokens};
    RequireShape(op.lhs, op.transpose_rhs ? rhs : scores);
    RequireShape(op.output, op.transpose_rhs ? scores : rhs);
    Require((op.transpose_rhs ? rhs[1] / op.heads : tokens) <= kMaxDepth,
            "contraction is too long");
    RequireCount(op.lhs_zero.size(), op.heads, "lhs_zero");
    RequireCount(op.rhs_zero.size(), op.transpose_rhs ? op.heads : rhs[1], "rhs_zero");
    RequireWithin(op.lhs_zero, -128, 255, "lhs_zero");
    RequireWithin(op.rhs_zero, -128, 127, "rhs_zero");
    if (op.mode == OperandMode::kShift) {
      const TensorInfo& lhs = Tensor(op.lhs);
      Require(lhs.dtype == DType::kUint8 && lhs.range.qmax <= 16, "shift mode needs codes 0..16");
      RequireWithin(op.lhs_zero, 0, 0, "lhs_zero");
    }
    RequireAccumulator(op.acc, op.output);
  }

  void CheckOp(const RequantizeOp& op) const {
    const TensorInfo& in = Tensor(op.input);
    const TensorInfo& out = Tensor(op.output);
    Require(in.shape.size() == out.shape.size() &&
                std::equal(in.shape.begin(), in.shape.end() - 1, out.shape.begin()),
            "input and output shapes do not fit");
    Require(op.first_column >= 0 && out.shape.back() <= in.shape.back() - op.first_column,
            "reads columns beyond its input");
    const std::int64_t channels = op.axis == ChannelAxis::kLast    ? out.shape.back()
                                  : op.axis == ChannelAxis::kFirst ? out.shape.front()
                                                                   : 1;
    RequireScales(op.scale, channels);
    RequireCount(op.zero.size(), channels, "zero");
    RequireWithin(op.zero, -kMaxZero, kMaxZero, "zero");
    Require(in.dtype == DType::kInt32 ? op.input_zero == 0
                                      : op.input_zero >= -kMaxZero && op.input_zero <= kMaxZero,
            "input_zero out of range");
    RequantizeParams params;
    params.layout = {1, channels, 1};
    params.scale = op.scale;
    params.zero = op.zero;
    params.rounding = op.rounding;
    params.scheme = op.scheme;
    params.addend = op.addend;
    RequireLegal([&] { CheckRequantizeParams(params); });
  }

  // The operations check their own parameters; here that becomes an error of the program.
  template <typename Check>
  void RequireLegal(Check check) const {
    try {
      check();
    } catch (const std::invalid_argument& error) {
      Require(false, error.what());
    }
  }

  void CheckOp(const SoftmaxOp& op) const {
    const TensorInfo& in = Tensor(op.input);
    const TensorInfo& out = Tensor(op.output);
    Require(in.shape.size() == 3 && in.shape == out.shape, "needs [heads, tokens, tokens]");
    Require(BitsOf(in.dtype) <= 16, "scores must be 16 bits or narrower");
    RequireCount(op.params.size(), in.shape[0], "params");
    for (const SoftmaxParams& p : op.params) {
      Require(in.shape[2] <= MaxSoftmaxRow(p.kind), "row is too long");
      RequireLegal([&] { CheckSoftmaxParams(p); });
      Require(p.kind != SoftmaxKind::kLogInt || p.code_bits == 4, "code_bits must be 4");
      const QuantRange range = SoftmaxOutputRange(p);
      const DType dtype = range.qmin < 0 ? DType::kInt8 : DType::kUint8;
      Require(range.qmin >= -128 && range.qmax <= (range.qmin < 0 ? 127 : 255),
              "output does not fit 8 bits");
      Require(out.dtype == dtype && out.range == range,
              "output must be " + std::string(Name(dtype)) + " in " + std::to_string(range.qmin) +
                  ".." + std::to_string(range.qmax));
    }
  }

  void CheckOp(const LayernormOp& op) const {
    const TensorInfo& in = Tensor(op.input);
    Require(in.shape.size() == 2 && in.shape == Tensor(op.output).shape,
            "needs [tokens, channels]");
    Require(BitsOf(in.dtype) <= 16, "input must be 16 bits or narrower");
    const std::int64_t channels = in.shape[1];
    Require(channels <= kMaxChannels, "row is too long");
    Require(op.input_zero >= -kMaxZero && op.input_zero <= kMaxZero, "input_zero out of range");
    Require(op.std_shift >= 0 && op.std_shift <= kMaxLayernormStdShift, "std_shift out of range");
    Require(static_cast<std::int64_t>(op.bias.size()) == channels,
            "bias needs one entry per channel");
    for (const std::int64_t b : op.bias) {
      Require(b >= -kMaxLayernormBias && b <= kMaxLayernormBias, "bias out of range");
    }
    if (op.kind == LayernormKind::kDeeploy) {
      CheckDeeploy(op, channels);
    } else {
      Require(
          op.kind == LayernormKind::kIbert || op.kind == LayernormKind::kIvit,
          "fqvit takes its multipliers from real arithmetic on each row; no program can hold it");
      CheckRootOfSum(op, channels);
    }
  }

  void CheckDeeploy(const LayernormOp& op, std::int64_t channels) const {
    Require(static_cast<std::int64_t>(op.weight.size()) == channels,
            "weight needs one entry per channel");
    Require(op.log2d >= 0 && op.log2d <= 62, "log2d must be in 0..62");
    Require(op.input_shift.empty() && op.std_shift == 0 && op.scale.empty() && op.zero.empty(),
            "rq_layernorm has no input_shift, std_shift, scale or zero");
    Require(!op.wrap || Tensor(op.output).range == QuantRange{-128, 127},
            "wrap needs an int8 output");
  }

  // ibert and ivit.
  void CheckRootOfSum(const LayernormOp& op, std::int64_t channels) const {
    const TensorInfo& in = Tensor(op.input);
    Require(op.weight.empty() && op.log2d == 0 && !op.wrap,
            "weight, log2d and wrap belong to rq_layernorm");
    Require(op.kind == LayernormKind::kIbert || op.std_shift == 0, "ivit has no std_shift");
    Require(op.input_shift.empty() || static_cast<std::int64_t>(op.input_shift.size()) == channels,
            "input_shift needs no entry or one per channel");
    RequireWithin(op.input_shift, 0, 8, "input_shift");
    const std::int64_t widest = std::max(std::int64_t{in.range.qmax} - op.input_zero,
                                         std::int64_t{op.input_zero} - in.range.qmin);
    for (std::size_t c = 0; c < op.input_shift.size(); ++c) {
      Require(
          widest << op.input_shift[c] <= kMaxLayernormInput,
          "input of channel " + std::to_string(c) + " leaves 25 bits after zero point and shift");
    }
    RequireScales(op.scale, channels);
    RequireCount(op.zero.size(), channels, "zero");
    RequireWithin(op.zero, -kMaxZero, kMaxZero, "zero");
  }

  void CheckOp(const ResidualAddOp& op) const {
    const TensorInfo& out = Tensor(op.output);
    Require(out.shape.size() == 2, "needs [tokens, channels]");
    RequireShape(op.a, out.shape);
    RequireShape(op.b, out.shape);
    Require(BitsOf(Tensor(op.b).dtype) <= 16, "'" + op.b + "' must be 16 bits or narrower");
    const std::int64_t channels = out.shape[1];
    RequireCount(op.a_multiplier.size(), channels, "a_multiplier");
    RequireCount(op.b_multiplier.size(), channels, "b_multiplier");
    RequireWithin(op.a_multiplier, -INT32_MAX, INT32_MAX, "a_multiplier");
    RequireWithin(op.b_multiplier, -INT32_MAX, INT32_MAX, "b_multiplier");
    Require(op.shift >= 0 && op.shift <= 62, "shift must be in 0..62");
    Require(Tensor(op.a).dtype != DType::kInt32 || op.a_zero == 0,
            "an accumulator has no zero point");
    RequireWithin({op.a_zero, op.b_zero, op.out_zero}, -kMaxZero, kMaxZero, "zero point");
  }

  void CheckOp(const PatchifyOp& op) const {
    const TensorInfo& in = Tensor(op.input);
    const TensorInfo& out = Tensor(op.output);
    Require(in.shape.size() == 3 && in.dtype == DType::kUint8, "needs uint8 pixels [C, H, W]");
    Require(op.patch >= 1 && in.shape[1] % op.patch == 0 && in.shape[2] % op.patch == 0,
            "patch must divide the image's height and width, is " + std::to_string(op.patch));
    RequireShape(op.output, {(in.shape[1] / op.patch) * (in.shape[2] / op.patch),
                             in.shape[0] * op.patch * op.patch});
    Require(out.dtype == in.dtype && out.range == in.range,
            "moves data only: output needs the type and range of the input");
  }

  void CheckOp(const EmbedOp& op) const {
    const TensorInfo& out = Tensor(op.output);
    Require(out.shape.size() == 2 && out.shape[0] >= 2, "needs [1 + patches, channels]");
    RequireShape(op.a, {out.shape[0] - 1, out.shape[1]});
    Require(Tensor(op.a).dtype == DType::kInt32, "'" + op.a + "' must be int32 accumulators");
    const IntTensor& position = program_.Constant(op.position);
    Require(position.dtype() == DType::kInt32 && position.shape() == out.shape,
            "position must be int32 [1 + patches, channels]");
    RequireWithin(position.As<std::int32_t>(), -kMaxPosition, kMaxPosition, "position");
    for (std::int64_t c = 0; c < out.shape[1]; ++c) {
      Require(position.At(c) >= out.range.qmin && position.At(c) <= out.range.qmax,
              "position[" + std::to_string(c) + "], of the class token, is " +
                  std::to_string(position.At(c)) + ", outside the output's range");
    }
    RequireCount(op.a_multiplier.size(), out.shape[1], "a_multiplier");
    RequireWithin(op.a_multiplier, -INT32_MAX, INT32_MAX, "a_multiplier");
    RequireWithin({op.b_multiplier}, -INT32_MAX, INT32_MAX, "b_multiplier");
    Require(op.shift >= 0 && op.shift <= 62, "shift must be in 0..62");
    RequireWithin({op.out_zero}, -kMaxZero, kMaxZero, "zero point");
  }

  void CheckOp(const AddOp& op) const {
    const TensorInfo& a = Tensor(op.a);
    const TensorInfo& out = Tensor(op.output);
    Require(op.b.empty() != op.bias.empty(), "adds either a tensor or a bias");
    RequireShape(op.output, a.shape);
    std::int64_t lowest = 0;
    std::int64_t highest = 0;
    if (op.b.empty()) {
      const IntTensor& bias = program_.Constant(op.bias);
      Require(bias.dtype() == DType::kInt32 && bias.shape() == Shape{a.shape.back()},
              "bias must be int32 [C]");
      const auto [least, most] =
          std::minmax_element(bias.As<std::int32_t>().begin(), bias.As<std::int32_t>().end());
      lowest = *least;
      highest = *most;
    } else {
      RequireShape(op.b, a.shape);
      lowest = Tensor(op.b).range.qmin;
      highest = Tensor(op.b).range.qmax;
    }
    Require(lowest + a.range.qmin >= out.range.qmin && highest + a.range.qmax <= out.range.qmax,
            "a sum can leave the output's range");
  }

  void CheckOp(const GeluOp& op) const {
    RequireNarrow(op.input);
    const TensorInfo& in = Tensor(op.input);
    const TensorInfo& out = Tensor(op.output);
    RequireShape(op.output, in.shape);
    if (op.kind == GeluKind::kTable) {
      const std::int64_t codes = std::int64_t{in.range.qmax} - in.range.qmin + 1;
      Require(static_cast<std::int64_t>(op.table.size()) == codes,
              "table needs " + std::to_string(codes) + " entries, one per code of the input, has " +
                  std::to_string(op.table.size()));
      RequireWithin(op.table, out.range.qmin, out.range.qmax, "table");
      GeluOp bare;
      bare.output = op.output;
      bare.input = op.input;
      bare.table = op.table;
      Require(op == bare,
              "a table has zero points, scale and rounding built in; leave the other parameters at "
              "their defaults");
      return;
    }
    Require(op.table.empty(), std::string(Name(op.kind)) + " uses no table");
    RequireScales({op.scale}, 1);
    RequireWithin({op.input_zero, op.zero}, -kMaxZero, kMaxZero, "zero point");
    GeluParams params;
    params.kind = op.kind;
    params.input_zero = op.input_zero;
    params.ibert = op.ibert;
    params.shiftgelu = op.shiftgelu;
    params.ita = op.ita;
    params.deeploy = op.deeploy;
    params.scale = op.scale;
    params.addend = op.addend;
    params.zero = op.zero;
    params.rounding = op.rounding;
    params.range = out.range;
    RequireLegal([&] { CheckGeluParams(params); });
  }

  const Program& program_;
  std::set<std::string> names_, defined_;
  std::string where_;
};

}  // namespace

void Validate(const Program& program) { Validator(program).Check(); }

}  // namespace qsim
