#include "sim/diagnose/relower.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "sim/calibrate/lower/layernorm_lowering.h"
#include "sim/calibrate/lower/lowering.h"
#include "sim/error.h"
#include "sim/semantics/elementary.h"
#include "sim/semantics/gelu_lowering.h"
#include "sim/semantics/softmax_lowering.h"

namespace qsim {
namespace {

// A faulty operation may have few bits; what is made anew has those of the default hardware.
constexpr int kLeastMultiplierBits = 16;

int MultiplierBits(const Bundle& bundle) {
  return std::max(kLeastMultiplierBits, bundle.hardware.multiplier_bits);
}

Multiplier MultiplierOf(double ratio, const std::string& what, const MultiplierLimits& limits,
                        const Bundle& bundle) {
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(ratio), &exponent);
  if (bundle.hardware.power_of_two && std::fabs(fraction - 0.5) < 1e-12)
    return ShiftFor(ratio, what);
  return MultiplierFor(ratio, limits.bits, what, limits.most_shift);
}

std::vector<double> Ratios(const Activation& in, const Activation& out) {
  std::vector<double> ratios;
  for (std::size_t c = 0; c < out.scale.size(); ++c) ratios.push_back(in.scale[c] / out.scale[c]);
  return ratios;
}

}  // namespace

Activation StatedActivation(const Bundle& bundle, const std::string& tensor) {
  const TensorInfo& info = bundle.program.Tensor(tensor);
  const TensorScale& stated = bundle.scales.at(tensor);
  const auto channels =
      static_cast<std::size_t>(info.shape.size() == 2 ? info.shape.back() : info.shape.front());
  return {tensor, info.range, Expanded(stated.scale, channels), Expanded(stated.zero, channels), {}};
}

const Op* ProducerOf(const Program& program, const std::string& tensor) {
  const auto found = std::find_if(program.ops.begin(), program.ops.end(),
                                  [&](const Op& op) { return OutputOf(op) == tensor; });
  return found == program.ops.end() ? nullptr : &*found;
}

Op* ProducerOf(Program& program, const std::string& tensor) {
  const auto found = std::find_if(program.ops.begin(), program.ops.end(),
                                  [&](const Op& op) { return OutputOf(op) == tensor; });
  return found == program.ops.end() ? nullptr : &*found;
}

std::vector<std::string> ReadersOf(const Program& program, const std::string& tensor) {
  std::vector<std::string> readers;
  for (const Op& op : program.ops) {
    const std::vector<std::string> inputs = InputsOf(op);
    if (std::find(inputs.begin(), inputs.end(), tensor) != inputs.end())
      readers.push_back(OutputOf(op));
  }
  return readers;
}

Relowering::Relowering(const network::Network& model, const ModelInputs& inputs) : model_(model) {
  if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
    mean_ = images->mean;
    stddev_ = images->stddev;
  }
}

network::Linear Relowering::LayerOf(const std::string& tap) const {
  const network::Node* node = model_.NodeOf(tap);
  const auto* projection =
      node == nullptr ? nullptr : std::get_if<network::Projection>(&node->function);
  if (projection == nullptr) throw InternalError("no linear layer '" + tap + "'");
  const network::Node& input = model_.At(node->inputs.at(0));
  return std::holds_alternative<network::Patches>(input.function)
             ? FoldedPixels(projection->layer, mean_, stddev_)
             : projection->layer;
}

void Relowering::Remake(const std::string& tap, Bundle& bundle) const {
  Op* op = ProducerOf(bundle.program, tap);
  if (op == nullptr) return;  // an input of the program
  std::visit([&](auto& o) { Remake(o, bundle); }, *op);
}

void Relowering::RemakeLinear(const std::string& tap, Bundle& bundle) const {
  const network::Linear layer = LayerOf(tap);
  const Op* op = ProducerOf(std::as_const(bundle.program), tap);
  RemakeLinear(tap, layer, OwnScales(std::get<GemmOp>(*op), layer, bundle), bundle);
}

void Relowering::RemakeLinear(const std::string& tap, const network::Linear& layer,
                              const std::vector<double>& scale, Bundle& bundle) const {
  Remake(std::get<GemmOp>(*ProducerOf(bundle.program, tap)), layer, scale, bundle);
  for (const std::string& reader : ReadersOf(bundle.program, tap)) Remake(reader, bundle);
}

void Relowering::Rescale(const std::string& tensor, StatedGrid grid, Bundle& bundle) const {
  Program& program = bundle.program;
  const std::vector<std::string> readers = ReadersOf(program, tensor);
  for (const std::string& reader : readers) {
    const auto* softmax = std::get_if<SoftmaxOp>(ProducerOf(std::as_const(program), reader));
    if (softmax == nullptr) continue;
    const SoftmaxParams& params = softmax->params.front();
    for (double& s : grid.scale) {
      const auto choice = ChooseScores(KindOf(params), s, ExtraBits(params));
      s = choice ? choice->scale : CoarsestScores(KindOf(params), ExtraBits(params)).scale;
    }
  }
  for (TensorInfo& info : program.tensors) {
    if (info.name != tensor) continue;
    info.range = grid.range;
    info.dtype = StorageFor(grid.range);
  }
  TensorScale& stated = bundle.scales.at(tensor);
  const bool one = grid.scale.size() == 1 && grid.zero.size() == 1;
  const bool scores = program.Tensor(tensor).shape.size() == 3;
  stated.axis = one ? ChannelAxis::kNone : scores ? ChannelAxis::kFirst : ChannelAxis::kLast;
  stated.scale = std::move(grid.scale);
  stated.zero = std::move(grid.zero);
  // In the residual stream the weights behind a nearly dead channel depend on the output's scale.
  const Op* producer = ProducerOf(std::as_const(program), tensor);
  std::string layer;
  if (producer != nullptr) {
    if (const auto* add = std::get_if<ResidualAddOp>(producer)) layer = add->a;
    if (const auto* embed = std::get_if<EmbedOp>(producer)) layer = embed->a;
  }
  const Op* linear = ProducerOf(std::as_const(program), layer);
  if (linear != nullptr && std::holds_alternative<GemmOp>(*linear)) {
    RemakeLinear(layer, bundle);
  } else {
    Remake(tensor, bundle);
  }
  for (const std::string& reader : readers) {
    const Op* op = ProducerOf(std::as_const(program), reader);
    if (std::holds_alternative<GemmOp>(*op)) {
      RemakeLinear(reader, bundle);
      continue;
    }
    Remake(reader, bundle);
    if (!std::holds_alternative<MatmulOp>(*op)) continue;
    for (const std::string& after : ReadersOf(program, reader)) Remake(after, bundle);
  }
}

// ---- linear layers ----

// As the lowering chooses them: the largest weight saturates, and a (nearly) dead channel keeps a
// few bits of multiplier beside the residual stream's.
std::vector<double> Relowering::OwnScales(const GemmOp& op, const network::Linear& layer,
                                          const Bundle& bundle) const {
  const Activation in = StatedActivation(bundle, op.input);
  const double input_scale = *std::max_element(in.scale.begin(), in.scale.end());
  const auto depth = in.scale.size();
  const auto rows = layer.bias.size();
  double least = 0;                // in output steps for one step of the input
  std::vector<double> unit(rows);  // of the reader's output; 0 where it does not matter
  for (const std::string& reader : ReadersOf(bundle.program, op.output)) {
    const Op& read = *ProducerOf(bundle.program, reader);
    const Activation out = StatedActivation(bundle, reader);
    std::size_t first = 0;
    if (const auto* requantize = std::get_if<RequantizeOp>(&read)) {
      first = static_cast<std::size_t>(requantize->first_column);
    }
    for (std::size_t c = 0; c < out.scale.size(); ++c) unit[first + c] = out.scale[c];
    double stream = 0;
    if (std::holds_alternative<EmbedOp>(read)) stream = 1;
    if (const auto* add = std::get_if<ResidualAddOp>(&read)) {
      const std::vector<double> ratios = Ratios(StatedActivation(bundle, add->b), out);
      stream = *std::max_element(ratios.begin(), ratios.end());
    }
    least = std::max(least, std::ldexp(stream, 4 - bundle.hardware.multiplier_bits));
  }
  std::vector<double> scales;
  for (std::size_t n = 0; n < rows; ++n) {
    double largest = 0;
    for (std::size_t k = 0; k < depth; ++k) {
      const double w = static_cast<double>(layer.weight.data[n * depth + k]);
      largest = std::max(largest, std::fabs(w * in.scale[k] / input_scale));
    }
    double scale = std::max({largest / 127.5, kMinScale, least * unit[n] / input_scale});
    if (bundle.hardware.power_of_two && unit[n] > 0) scale = SnapUp(scale, unit[n] / input_scale);
    scales.push_back(scale);
  }
  return scales;
}

void Relowering::Remake(GemmOp& op, Bundle& bundle) const {
  const Activation in = StatedActivation(bundle, op.input);
  std::vector<double> scale = StatedActivation(bundle, op.output).scale;
  for (double& s : scale) s /= *std::max_element(in.scale.begin(), in.scale.end());
  Remake(op, LayerOf(op.output), scale, bundle);
}

void Relowering::Remake(GemmOp& op, const network::Linear& layer, const std::vector<double>& scale,
                        Bundle& bundle) const {
  Bundle scratch;
  Hardware hardware;
  hardware.acc = op.acc;
  hardware.multiplier_bits = MultiplierBits(bundle);
  const Numerics numerics;
  ProgramBuilder builder(scratch, hardware, numerics);
  LinearRequest request;
  request.weight = layer.weight;
  request.bias = layer.bias;
  request.row_groups = static_cast<std::int64_t>(layer.bias.size());
  request.adjust = [&](std::int64_t row, double) { return scale[static_cast<std::size_t>(row)]; };
  const std::string name = op.output;
  builder.Linear(name, StatedActivation(bundle, op.input),
                 {1, static_cast<std::int64_t>(layer.bias.size())}, std::move(request),
                 std::vector<double>(layer.bias.size(), 1.0), 0);
  op.weight_zero.clear();
  bundle.program.constants[op.weight] = std::move(scratch.program.constants.at(name + ".weight"));
  bundle.program.constants[op.bias] = std::move(scratch.program.constants.at(name + ".bias"));
  bundle.scales[op.weight] = scratch.scales.at(name + ".weight");
  bundle.scales[name] = scratch.scales.at(name);
}

// ---- the others ----

void Relowering::Remake(MatmulOp& op, Bundle& bundle) const {
  const Activation lhs = StatedActivation(bundle, op.lhs);
  const Activation rhs = StatedActivation(bundle, op.rhs);
  Activation out = StatedActivation(bundle, op.output);
  const std::size_t channels = rhs.scale.size();
  const auto heads = static_cast<std::size_t>(op.heads);
  const std::size_t head_dim = channels / heads;
  if (op.transpose_rhs) {
    std::vector<std::int32_t> left;
    std::vector<std::int32_t> right;
    for (std::size_t h = 0; h < heads; ++h) {
      left.push_back(lhs.zero[h * head_dim]);
      right.push_back(rhs.zero[h * head_dim]);
      out.scale[h] = lhs.scale[h * head_dim] * rhs.scale[h * head_dim] /
                     std::get<network::Product>(model_.NodeOf(op.output)->function).divisor;
    }
    op.lhs_zero = Compressed(std::move(left));
    op.rhs_zero = Compressed(std::move(right));
  } else {
    // The array sees a log2 code c as 2^(15 - c).
    const TensorScale& softmax = bundle.scales.at(op.lhs);
    const bool log2 = softmax.kind == TensorScale::Kind::kLog2;
    for (std::size_t c = 0; c < channels; ++c) {
      out.scale[c] = rhs.scale[c] * (log2 ? std::ldexp(1.0, -15) : softmax.scale[0]);
    }
    op.lhs_zero = {log2 ? 0 : softmax.zero[0]};
    op.rhs_zero = Compressed(rhs.zero);
  }
  Hardware hardware;
  const Numerics numerics;
  ProgramBuilder(bundle, hardware, numerics)
      .SetScale(op.output, op.transpose_rhs ? ChannelAxis::kFirst : ChannelAxis::kLast, out.scale,
                std::vector<std::int32_t>(out.scale.size(), 0));
}

void Relowering::Remake(RequantizeOp& op, Bundle& bundle) const {
  const Activation in = StatedActivation(bundle, op.input);
  const Activation out = StatedActivation(bundle, op.output);
  const MultiplierLimits limits = MultiplierLimitsOf(op.scheme, MultiplierBits(bundle));
  op.scale.clear();
  for (std::size_t c = 0; c < out.scale.size(); ++c) {
    const double ratio = in.scale[static_cast<std::size_t>(op.first_column) + c] / out.scale[c];
    op.scale.push_back(
        MultiplierOf(ratio, fmt::format("{}, channel {}", op.output, c), limits, bundle));
  }
  op.scale = Compressed(std::move(op.scale));
  op.zero = Compressed(out.zero);
  const bool one = op.scale.size() == 1 && op.zero.size() == 1;
  const bool scores = bundle.program.Tensor(op.output).shape.size() == 3;
  op.axis = one ? ChannelAxis::kNone : scores ? ChannelAxis::kFirst : ChannelAxis::kLast;
  const bool wide = bundle.program.Tensor(op.input).dtype == DType::kInt32;
  op.input_zero = wide ? 0 : in.zero[0];
}

void Relowering::Remake(SoftmaxOp& op, Bundle& bundle) const {
  const Activation scores = StatedActivation(bundle, op.input);
  const TensorScale& out = bundle.scales.at(op.output);
  const SoftmaxKind kind = KindOf(op.params.front());
  int extra_bits = 0;
  if (kind == SoftmaxKind::kIbertRn) extra_bits = -8 - std::ilogb(out.scale[0]);
  op.params.clear();
  for (const double scale : scores.scale) {
    // A scale is unit / k; a hair less keeps k whichever way the division rounds.
    const double observed = kind == SoftmaxKind::kTflite ? scale : scale * (1 - 1e-9);
    const auto choice = ChooseScores(kind, observed, extra_bits);
    op.params.push_back(choice ? choice->params : CoarsestScores(kind, extra_bits).params);
  }
  op.params = Compressed(std::move(op.params));
}

void Relowering::Remake(LayernormOp& op, Bundle& bundle) const {
  const Activation out = StatedActivation(bundle, op.output);
  Bundle scratch;
  NodePlan plan;
  plan.node = &model_.At(op.output);
  plan.section.emplace();
  plan.hardware.multiplier_bits = MultiplierBits(bundle);
  plan.numerics.layernorm = KindOf(op.params);
  std::visit(
      [&](const auto& params) {
        if constexpr (requires { params.rounding; })
          plan.numerics.requantize.rounding = params.rounding;
      },
      op.params);
  ProgramBuilder builder(scratch, plan.hardware, plan.numerics);
  LayernormOp made =
      DeriveLayernorm(std::get<network::LayerNorm>(plan.node->function).norm, plan,
                      StatedActivation(bundle, op.input), out, builder);
  if (const auto* deeploy = std::get_if<DeeployLayernormParams>(&op.params))
    std::get<DeeployLayernormParams>(made.params).wrap = deeploy->wrap;
  op = std::move(made);
}

void Relowering::Remake(ResidualAddOp& op, Bundle& bundle) const {
  const Activation a = StatedActivation(bundle, op.a);
  const Activation b = StatedActivation(bundle, op.b);
  const Activation out = StatedActivation(bundle, op.output);
  std::vector<double> ratios = Ratios(a, out);
  const std::vector<double> of_stream = Ratios(b, out);
  ratios.insert(ratios.end(), of_stream.begin(), of_stream.end());
  // Products of very different size share one shift: they need the widest multiplier there is.
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  const int bits =
      *most > std::ldexp(*least, MultiplierBits(bundle) - 2) ? 31 : MultiplierBits(bundle);
  const CommonShift common = CommonShiftFor(ratios, bits, op.output);
  const auto middle = common.multipliers.begin() + static_cast<std::ptrdiff_t>(of_stream.size());
  op.a_multiplier = Compressed(std::vector<std::int32_t>(common.multipliers.begin(), middle));
  op.b_multiplier = Compressed(std::vector<std::int32_t>(middle, common.multipliers.end()));
  op.shift = common.shift;
  op.a_zero = bundle.program.Tensor(op.a).dtype == DType::kInt32 ? 0 : a.zero[0];
  op.b_zero = b.zero[0];
  op.out_zero = out.zero[0];
}

void Relowering::Remake(EmbedOp& op, Bundle& bundle) const {
  const Activation out = StatedActivation(bundle, op.output);
  std::vector<double> ratios = Ratios(StatedActivation(bundle, op.a), out);
  ratios.push_back(1.0);
  const CommonShift common = CommonShiftFor(ratios, MultiplierBits(bundle), op.output);
  op.a_multiplier = Compressed(
      std::vector<std::int32_t>(common.multipliers.begin(), common.multipliers.end() - 1));
  op.b_multiplier = common.multipliers.back();
  op.shift = common.shift;
  op.out_zero = out.zero[0];
  bundle.program.constants[op.position] = PositionCodes(std::get<network::Positions>(model_.At(op.output).function), out);
}

void Relowering::Remake(GeluOp& op, Bundle& bundle) const {
  const Activation in = StatedActivation(bundle, op.input);
  const Activation out = StatedActivation(bundle, op.output);
  if (auto* lookup = std::get_if<GeluTableParams>(&op.params)) {
    lookup->table =
        TableOf(&Gelu, {in.scale[0], in.zero[0]}, in.range, {out.scale[0], out.zero[0]}, out.range);
    return;
  }
  const double y_scale = SetGeluConstants(in.scale[0], op.params);
  const MultiplierLimits limits{MultiplierBits(bundle), 62};
  const Multiplier scale = MultiplierOf(y_scale / out.scale[0], op.output, limits, bundle);
  std::visit(
      [&](auto& params) {
        if constexpr (requires { params.input_zero; }) params.input_zero = in.zero[0];
        if constexpr (requires { params.scale; }) {
          params.scale = scale;
          params.zero = out.zero[0];
        }
      },
      op.params);
}

}  // namespace qsim
