#include "sim/calibrate/lower/lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "sim/calibrate/lower/layernorm_lowering.h"
#include "sim/calibrate/lower/linear_quantizer.h"
#include "sim/calibrate/lower/program_builder.h"
#include "sim/error.h"
#include "sim/semantics/elementary.h"
#include "sim/semantics/gelu_lowering.h"
#include "sim/semantics/multiplier.h"
#include "sim/semantics/softmax_lowering.h"

namespace qsim {
namespace {

// The integers of one node's operations.
class Deriver {
 public:
  Deriver(const Plan& plan, const Grids& grids, const InputSource& source, Bundle& bundle)
      : plan_(plan), grids_(grids), source_(source), bundle_(bundle) {}

  void Run() {
    for (const NodePlan& plan : plan_.nodes()) {
      ProgramBuilder builder(bundle_, plan.hardware, plan.numerics);
      builder_ = &builder;
      std::visit([&](const auto& function) { Of(function, plan); }, plan.node->function);
    }
  }

 private:
  const std::string& Name(const NodePlan& plan) const { return plan.node->name; }
  const Shape& ShapeOf(const NodePlan& plan) const { return plan.node->shape; }
  const Activation& Grid(const NodePlan& plan) const { return grids_.At(Name(plan)); }
  const Activation& Input(const NodePlan& plan, std::size_t index) const {
    return grids_.At(plan.inputs.at(index));
  }

  // What a reader finds of a linear layer: its accumulator, or the int8 step behind it.
  struct Source {
    std::string name;
    std::vector<double> scale;  // one for each row
    std::int32_t zero = 0;
  };

  // Equal groups of rows that share one weight scale; layer_wise: one for each layer that is
  // stacked here.
  std::int64_t RowGroups(const NodePlan& plan) const {
    switch (plan.weight->calibration_mode) {
      case CalibrationMode::kLayerWise: {
        const std::vector<const NodePlan*> readers = plan_.ReadersOf(Name(plan));
        const auto stacked = std::count_if(readers.begin(), readers.end(), [](const NodePlan* r) {
          return std::holds_alternative<network::Columns>(r->node->function);
        });
        return std::max<std::int64_t>(1, stacked);
      }
      case CalibrationMode::kHeadWise:
        return plan.node->heads;
      case CalibrationMode::kChannelWise:
        break;
    }
    return plan.node->shape.back();
  }

  // ---- inputs and data movement ----

  void Of(const network::Activations&, const NodePlan& plan) { DefineInput(plan); }
  void Of(const network::Entry&, const NodePlan& plan) { DefineInput(plan); }
  void DefineInput(const NodePlan& plan) {
    builder_->DefineActivation(Grid(plan), ShapeOf(plan));
    builder_->program().inputs.push_back(Name(plan));
  }

  // Of a network that takes images: embeddings enter its program behind the patches.
  bool TokensOnly() const { return source_.mean.empty(); }

  void Of(const network::Pixels&, const NodePlan& plan) {
    if (TokensOnly()) return;
    builder_->DefineTensor(Name(plan), ShapeOf(plan), Grid(plan).range);
    builder_->SetScale(Name(plan), ChannelAxis::kNone, Grid(plan).scale, Grid(plan).zero);
    builder_->program().inputs.push_back(Name(plan));
  }

  void Of(const network::Patches& patches, const NodePlan& plan) {
    if (TokensOnly()) return;
    builder_->DefineActivation(Grid(plan), ShapeOf(plan));
    PatchifyOp op;
    op.output = Name(plan);
    op.input = plan.inputs.at(0);
    op.patch = patches.size;
    builder_->program().ops.emplace_back(std::move(op));
  }

  // ---- linear layers ----

  // What the rows of a layer were divided by, for the factors between Q and K.
  std::vector<double> RowFactors(const NodePlan& plan) const {
    std::vector<double> factors(static_cast<std::size_t>(ShapeOf(plan).back()), 1.0);
    for (const NodePlan* reader : plan_.ReadersOf(Name(plan))) {
      const auto* columns = std::get_if<network::Columns>(&reader->node->function);
      if (columns == nullptr) continue;
      const Activation& part = Grid(*reader);
      for (std::size_t c = 0; c < part.scale.size(); ++c)
        factors[static_cast<std::size_t>(columns->first) + c] = part.FactorOf(c);
    }
    return factors;
  }

  // What the scales of a layer's rows must suit: the grids that its accumulator is requantized to.
  struct Target {
    std::vector<double> unit;  // of the row; empty where nothing is asked
    double least = 0;  // units that a row's scale must have, so that its multiplier keeps a few
                       // bits beside the other product of a common shift
    std::string_view beside;  // whose product that is
  };
  Target TargetOf(const NodePlan& plan) const {
    Target target;
    const double input_scale = Input(plan, 0).Absorbed();
    const bool pixels = ReadsPixels(plan);
    const auto unit = [&](double scale) { return pixels ? scale * 255 : scale / input_scale; };
    const auto rows = static_cast<std::size_t>(ShapeOf(plan).back());
    const bool pow2 = builder_->power_of_two();
    const double few_bits = std::ldexp(1.0, 4 - plan.hardware.multiplier_bits);
    for (const NodePlan* reader : plan_.ReadersOf(Name(plan))) {
      const network::Function& function = reader->node->function;
      if (const auto* columns = std::get_if<network::Columns>(&function)) {
        if (!pow2) continue;
        target.unit.resize(rows);
        const Activation& part = Grid(*reader);
        for (std::size_t c = 0; c < part.scale.size(); ++c)
          target.unit[static_cast<std::size_t>(columns->first) + c] = unit(part.scale[c]);
      } else if (std::holds_alternative<network::Sum>(function)) {
        const Activation& out = Grid(*reader);
        const Activation& stream = Input(*reader, 1);
        for (const double s : out.scale) target.unit.push_back(unit(s));
        if (plan.section) continue;
        for (std::size_t c = 0; c < rows; ++c)
          target.least = std::max(target.least, stream.scale[c] / out.scale[c]);
        target.least = std::ldexp(target.least, 4 - plan.hardware.multiplier_bits);
        target.beside = "the stream's";
      } else if (std::holds_alternative<network::Positions>(function)) {
        for (const double s : Grid(*reader).scale) target.unit.push_back(unit(s));
        target.least = few_bits;
        target.beside = "the positions'";
      }
    }
    if (target.unit.empty() && pow2 && plan.section) {
      for (const double s : Grid(plan).scale) target.unit.push_back(unit(s));
    }
    return target;
  }

  bool ReadsPixels(const NodePlan& plan) const {
    return std::holds_alternative<network::Patches>(plan_.At(plan.inputs.at(0)).node->function);
  }

  LinearRequest Request(const network::Projection& projection, const NodePlan& plan,
                        const std::vector<double>& factors) const {
    LinearRequest request;
    const network::Linear layer = ReadsPixels(plan)
                                      ? FoldedPixels(projection.layer, source_.mean, source_.stddev)
                                      : projection.layer;
    request.weight = layer.weight;
    request.bias = layer.bias;
    request.section = *plan.weight;
    request.row_groups = RowGroups(plan);
    const auto depth = static_cast<std::size_t>(layer.in_features());
    for (std::size_t row = 0; row < factors.size(); ++row) {
      if (factors[row] == 1.0) continue;
      for (std::size_t i = 0; i < depth; ++i) {
        float& w = request.weight.data[row * depth + i];
        w = static_cast<float>(static_cast<double>(w) / factors[row]);
      }
      request.bias[row] = static_cast<float>(static_cast<double>(request.bias[row]) / factors[row]);
    }
    return request;
  }

  void Of(const network::Projection& projection, const NodePlan& plan) {
    if (ReadsPixels(plan) && TokensOnly()) return;
    const std::string& name = network::AccumulatorName(*plan.node);
    const std::vector<double> factors = RowFactors(plan);
    LinearRequest request = Request(projection, plan, factors);
    const Target target = TargetOf(plan);
    if (!target.unit.empty()) {
      request.adjust = [&](std::int64_t row, double observed) {
        const double unit = target.unit[static_cast<std::size_t>(row)];
        const double scale = std::max(observed, target.least * unit);
        if (scale > observed) {
          builder_->Note(
              LoweringNote::Kind::kRaisedScale, name,
              fmt::format("output channel {}: weight scale raised from {:.3g} to {:.3g}, so that "
                          "its multiplier keeps a few bits beside {} (a nearly dead channel)",
                          row, observed, scale, target.beside));
        }
        return builder_->power_of_two() ? SnapUp(scale, unit) : scale;
      };
    }
    Shape shape = ShapeOf(plan);
    Source source{name,
                  builder_->Linear(name, Input(plan, 0), std::move(shape), std::move(request),
                                   factors, projection.rows),
                  0};
    if (plan.section) {
      const Activation& narrow = Grid(plan);
      builder_->DefineActivation(narrow, ShapeOf(plan));
      std::vector<double> scale = narrow.scale;
      std::vector<double> ratios;
      for (std::size_t c = 0; c < scale.size(); ++c) {
        scale[c] /= factors[c];
        ratios.push_back(source.scale[c] / scale[c]);
      }
      builder_->Requantize(narrow.name, name, 0, ChannelAxis::kLast, ratios, narrow.zero, 0);
      source = {narrow.name, std::move(scale), narrow.zero[0]};
    }
    sources_[Name(plan)] = std::move(source);
  }

  void Of(const network::Columns& columns, const NodePlan& plan) {
    const Source& source = sources_.at(plan.inputs.at(0));
    Activation part = Grid(plan);
    std::vector<double> ratios;
    for (std::size_t c = 0; c < part.scale.size(); ++c) {
      ratios.push_back(source.scale[static_cast<std::size_t>(columns.first) + c] / part.scale[c]);
      part.scale[c] *= part.FactorOf(c);
    }
    builder_->DefineActivation(part, ShapeOf(plan));
    builder_->Requantize(part.name, source.name, columns.first, ChannelAxis::kLast, ratios,
                         part.zero, source.zero);
  }

  // ---- attention ----

  void Of(const network::Product& product, const NodePlan& plan) {
    const std::string acc = Name(plan) + std::string(network::kProductSuffix);
    const Activation& lhs = Input(plan, 0);
    const Activation& rhs = Input(plan, 1);
    const Activation& out = Grid(plan);
    const auto heads = static_cast<std::size_t>(product.heads);
    MatmulOp op;
    op.output = acc;
    op.lhs = plan.inputs.at(0);
    op.rhs = plan.inputs.at(1);
    op.heads = static_cast<int>(product.heads);
    op.transpose_rhs = product.transpose_rhs;
    op.acc = plan.hardware.acc;
    std::vector<double> acc_scale;
    if (product.transpose_rhs) {
      const std::size_t d = rhs.scale.size() / heads;
      for (std::size_t h = 0; h < heads; ++h) {
        op.lhs_zero.push_back(lhs.zero[h * d]);
        op.rhs_zero.push_back(rhs.zero[h * d]);
        acc_scale.push_back(lhs.scale[h * d] * rhs.scale[h * d] / product.divisor);
      }
      op.lhs_zero = Compressed(op.lhs_zero);
      op.rhs_zero = Compressed(op.rhs_zero);
    } else {
      const NodePlan& left = plan_.At(plan.inputs.at(0));
      const bool log2 = std::holds_alternative<network::Softmax>(left.node->function) &&
                        left.numerics.softmax == SoftmaxKind::kLogInt;
      op.mode = log2 ? OperandMode::kShift : OperandMode::kMultiply;
      op.lhs_zero = {lhs.zero[0]};
      op.rhs_zero = Compressed(rhs.zero);
      acc_scale = rhs.scale;
      for (double& s : acc_scale) s *= lhs.scale[0];
    }
    std::vector<double> ratios;
    for (std::size_t c = 0; c < acc_scale.size(); ++c)
      ratios.push_back(acc_scale[c] / out.scale[c]);
    const ChannelAxis axis = product.transpose_rhs ? ChannelAxis::kFirst : ChannelAxis::kLast;
    const std::size_t channels = acc_scale.size();
    builder_->DefineAccumulator(acc, ShapeOf(plan));
    builder_->program().ops.emplace_back(std::move(op));
    builder_->SetScale(acc, axis, std::move(acc_scale), std::vector<std::int32_t>(channels, 0));
    builder_->DefineTensor(out.name, ShapeOf(plan), out.range);
    builder_->SetScale(out.name, axis, out.scale, out.zero);
    builder_->Requantize(out.name, acc, 0, axis, ratios, out.zero, 0);
  }

  void Of(const network::Softmax& softmax, const NodePlan& plan) {
    SoftmaxOp op;
    op.output = Name(plan);
    op.causal = softmax.causal;
    op.input = plan.inputs.at(0);
    op.params = Compressed(grids_.softmax.at(Name(plan)));
    const SoftmaxParams params = op.params.front();
    const QuantRange range = SoftmaxOutputRange(params);
    builder_->program().ops.emplace_back(std::move(op));
    // 8 bits whatever the range: the array reads its left operand as uint8 or int8.
    builder_->program().tensors.push_back(
        {Name(plan), ShapeOf(plan), range.qmin < 0 ? DType::kInt8 : DType::kUint8, range});
    bundle_.scales[Name(plan)] = SoftmaxOutputScale(params);
  }

  // ---- element by element, and row by row ----

  void Of(const network::LayerNorm& layer, const NodePlan& plan) {
    LayernormOp op = DeriveLayernorm(layer.norm, plan, Input(plan, 0), Grid(plan), *builder_);
    builder_->DefineActivation(Grid(plan), ShapeOf(plan));
    builder_->program().ops.emplace_back(std::move(op));
  }

  void Of(const network::Elementwise& function, const NodePlan& plan) {
    const Activation& in = Input(plan, 0);
    const Activation& out = Grid(plan);
    TableOp op;
    op.output = Name(plan);
    op.input = in.name;
    op.table = TableOf(function.of, {in.scale[0], in.zero[0]}, in.range,
                       {out.scale[0], out.zero[0]}, out.range);
    builder_->DefineActivation(out, ShapeOf(plan));
    builder_->program().ops.emplace_back(std::move(op));
  }

  void Of(const network::Gelu&, const NodePlan& plan) {
    const Activation& in = Input(plan, 0);
    const Activation& out = Grid(plan);
    GeluOp op;
    op.output = Name(plan);
    op.input = sources_.at(plan.inputs.at(0)).name;
    op.params = Alternative<GeluParams>(static_cast<std::size_t>(plan.numerics.gelu));
    if (auto* lookup = std::get_if<GeluTableParams>(&op.params)) {
      lookup->table = TableOf(&Gelu, {in.scale[0], in.zero[0]}, in.range,
                              {out.scale[0], out.zero[0]}, out.range);
    } else {
      const double y_scale = SetGeluConstants(in.scale[0], op.params);
      const Multiplier scale = builder_->MakeMultiplier(y_scale / out.scale[0], out.name, 0);
      std::visit(
          [&](auto& params) {
            if constexpr (requires { params.scale; }) {
              params.scale = scale;
              params.zero = out.zero[0];
            }
            // ita takes neither: it brings its own last rounding.
            if constexpr (requires { params.rounding; }) {
              params.input_zero = in.zero[0];
              params.rounding = plan.numerics.requantize.rounding;
            }
          },
          op.params);
    }
    builder_->DefineActivation(out, ShapeOf(plan));
    builder_->program().ops.emplace_back(std::move(op));
  }

  void Of(const network::Sum&, const NodePlan& plan) {
    const Source& addend = sources_.at(plan.inputs.at(0));
    const Activation& stream = Input(plan, 1);
    const Activation& out = Grid(plan);
    const std::size_t channels = out.scale.size();
    std::vector<double> ratios;
    for (std::size_t c = 0; c < channels; ++c) ratios.push_back(addend.scale[c] / out.scale[c]);
    for (std::size_t c = 0; c < channels; ++c) ratios.push_back(stream.scale[c] / out.scale[c]);
    const CommonShift common = CommonShiftFor(ratios, plan.hardware.multiplier_bits, out.name);
    ResidualAddOp op;
    op.output = out.name;
    op.a = addend.name;
    op.b = stream.name;
    const auto middle = common.multipliers.begin() + static_cast<std::ptrdiff_t>(channels);
    op.a_multiplier = Compressed(std::vector<std::int32_t>(common.multipliers.begin(), middle));
    op.b_multiplier = Compressed(std::vector<std::int32_t>(middle, common.multipliers.end()));
    op.shift = common.shift;
    op.a_zero = addend.zero;
    op.b_zero = stream.zero[0];
    op.out_zero = out.zero[0];
    op.rounding = plan.numerics.residual_add;
    builder_->DefineActivation(out, ShapeOf(plan));
    builder_->program().ops.emplace_back(std::move(op));
  }

  void Of(const network::Positions& positions, const NodePlan& plan) {
    if (TokensOnly()) return DefineInput(plan);
    const Source& patches = sources_.at(plan.inputs.at(0));
    const Activation& out = Grid(plan);
    std::vector<double> ratios = patches.scale;
    for (std::size_t c = 0; c < ratios.size(); ++c) ratios[c] /= out.scale[c];
    ratios.push_back(1.0);
    const CommonShift common = CommonShiftFor(ratios, plan.hardware.multiplier_bits, out.name);
    EmbedOp op;
    op.output = out.name;
    op.a = patches.name;
    op.position = out.name + ".position";
    op.a_multiplier = Compressed(
        std::vector<std::int32_t>(common.multipliers.begin(), common.multipliers.end() - 1));
    op.b_multiplier = common.multipliers.back();
    op.shift = common.shift;
    op.out_zero = out.zero[0];
    op.rounding = plan.numerics.residual_add;
    builder_->program().constants[op.position] = PositionCodes(positions, out);
    builder_->DefineActivation(out, ShapeOf(plan));
    builder_->program().ops.emplace_back(std::move(op));
  }

  const Plan& plan_;
  const Grids& grids_;
  const InputSource& source_;
  Bundle& bundle_;
  ProgramBuilder* builder_ = nullptr;
  std::map<std::string, Source> sources_;  // by Projection
};

}  // namespace

network::Linear FoldedPixels(const network::Linear& layer, const std::vector<double>& mean,
                             const std::vector<double>& stddev) {
  network::Linear folded = layer;
  const auto depth = static_cast<std::size_t>(layer.in_features());
  const std::size_t per_channel = depth / mean.size();
  for (std::size_t n = 0; n < folded.bias.size(); ++n) {
    double bias = static_cast<double>(layer.bias[n]);
    for (std::size_t i = 0; i < depth; ++i) {
      const std::size_t c = i / per_channel;
      const double w = static_cast<double>(layer.weight.data[n * depth + i]) / stddev[c];
      folded.weight.data[n * depth + i] = static_cast<float>(w);
      bias -= w * mean[c];
    }
    folded.bias[n] = static_cast<float>(bias);
  }
  return folded;
}

IntTensor PositionCodes(const network::Positions& positions, const Activation& embed) {
  IntTensor codes(DType::kInt32, positions.position.shape);
  std::vector<std::int32_t>& values = codes.As<std::int32_t>();
  const std::size_t channels = positions.first.size();
  constexpr QuantRange kWide = {-65535, 65535};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = i % channels;
    const bool first_row = i < channels;
    double x = static_cast<double>(positions.position.data[i]);
    if (first_row) x += static_cast<double>(positions.first[c]);
    const Quantization q = {embed.scale[c], first_row ? embed.zero[c] : 0};
    values[i] = Quantize(x, q, first_row ? embed.range : kWide);
  }
  return codes;
}

void Derive(const Plan& plan, const Grids& grids, const InputSource& source, Bundle& bundle) {
  Deriver(plan, grids, source, bundle).Run();
}

}  // namespace qsim
