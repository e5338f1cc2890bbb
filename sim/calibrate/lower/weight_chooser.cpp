#include "sim/calibrate/lower/weight_chooser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "sim/semantics/gelu_lowering.h"
#include "sim/semantics/multiplier.h"

namespace qsim::calibrate {
namespace {

constexpr int kWideGeluBits = 24;

bool ReadsPixels(const network::Network& network, const network::Node& node) {
  return std::holds_alternative<network::Patches>(network.At(node.inputs.at(0)).function);
}

class WeightChooser {
 public:
  WeightChooser(const Plan& plan, const NodePlan& node, const Grids& grids,
                std::vector<LoweringNote>& notes)
      : plan_(plan),
        node_(node),
        grids_(grids),
        power_of_two_(node.hardware.requant == RequantMode::kPowerOfTwo),
        notes_(notes) {}

  Activation Choose(const RealLayer& layer) const {
    const Section& section = *node_.weight;
    const std::int64_t channels = layer.weight.shape[0];
    const std::int64_t groups = RowGroups();
    const std::int64_t rows = channels / groups;
    const auto observer = Observer::Make(section, {1, groups, rows * layer.weight.shape[1]});
    const std::span<const float> values = layer.weight.data;
    observer->Observe({&values, 1});
    const std::vector<RealRange> ranges = observer->Ranges();

    Activation grid;
    grid.name = node_.Weights();
    grid.range = RangeOf(section);
    grid.rounding = section.rounding;
    const Target target = TargetOf();
    for (std::int64_t n = 0; n < channels; n += rows) {
      const RealRange& range = ranges[static_cast<std::size_t>(n / rows)];
      double scale = QuantizationOf(range, grid.range, section.has_zero_point).scale;
      if (!target.unit.empty()) scale = Adjusted(target, n, scale);
      scale = RaisedForBias(layer, n, rows, scale, BiasLimit(node_.hardware.acc), notes_);
      grid.scale.push_back(scale);
      grid.zero.push_back(ZeroPointFor(range, scale, grid.range, section.has_zero_point));
    }
    grid.scale = Expanded(grid.scale, static_cast<std::size_t>(channels));
    grid.zero = Expanded(grid.zero, static_cast<std::size_t>(channels));
    return grid;
  }

 private:
  // Equal groups of rows that share one weight scale; layer_wise: one for each layer that is
  // stacked here.
  std::int64_t RowGroups() const {
    switch (node_.weight->calibration_mode) {
      case CalibrationMode::kLayerWise: {
        const std::vector<const NodePlan*> readers = plan_.ReadersOf(node_.node->name);
        const auto stacked = std::count_if(readers.begin(), readers.end(), [](const NodePlan* r) {
          return std::holds_alternative<network::Columns>(r->node->function);
        });
        return std::max<std::int64_t>(1, stacked);
      }
      case CalibrationMode::kHeadWise:
        return node_.node->heads;
      case CalibrationMode::kChannelWise:
        break;
    }
    return node_.node->shape.back();
  }

  // What the scales of a layer's rows must suit: the grids that its accumulator is requantized to.
  struct Target {
    std::vector<double> unit;  // of the row; empty where nothing is asked
    double least = 0;  // units that a row's scale must have, so that its multiplier keeps a few
                       // bits beside the other product of a common shift
    std::string_view beside;  // whose product that is
  };
  Target TargetOf() const {
    Target target;
    const NodePlan& input = plan_.At(node_.inputs.at(0));
    const double input_scale = grids_.at(input.Tensor()).Absorbed();
    const bool pixels = std::holds_alternative<network::Patches>(input.node->function);
    const auto unit = [&](double scale) { return pixels ? scale * 255 : scale / input_scale; };
    const auto rows = static_cast<std::size_t>(node_.node->shape.back());
    const double few_bits = std::ldexp(1.0, 4 - node_.hardware.multiplier_bits);
    for (const NodePlan* reader : plan_.ReadersOf(node_.node->name)) {
      const network::Function& function = reader->node->function;
      const bool sum = std::holds_alternative<network::Sum>(function);
      if (sum && reader->inputs.at(0) != node_.node->name) continue;  // it reads a grid of our own
      if (const auto* columns = std::get_if<network::Columns>(&function)) {
        if (!power_of_two_) continue;
        target.unit.resize(rows);
        const Activation& part = grids_.at(reader->Tensor());
        for (std::size_t c = 0; c < part.scale.size(); ++c)
          target.unit[static_cast<std::size_t>(columns->first) + c] = unit(part.scale[c]);
      } else if (sum || std::holds_alternative<network::Positions>(function)) {
        const Activation& out = grids_.at(reader->Tensor());
        for (const double s : out.scale) target.unit.push_back(unit(s));
        if (sum && node_.section) continue;
        target.least = few_bits;
        target.beside = sum ? "the stream's" : "the positions'";
        if (!sum) continue;
        const Activation& stream = grids_.at(plan_.At(reader->inputs.at(1)).Tensor());
        double most = 0;
        for (std::size_t c = 0; c < rows; ++c)
          most = std::max(most, stream.scale[c] / out.scale[c]);
        target.least *= most;
      }
    }
    if (target.unit.empty() && power_of_two_ && node_.section) {
      for (const double s : grids_.at(node_.Tensor()).scale) target.unit.push_back(unit(s));
    }
    return target;
  }

  double Adjusted(const Target& target, std::int64_t row, double observed) const {
    const double unit = target.unit[static_cast<std::size_t>(row)];
    const double scale = std::max(observed, target.least * unit);
    if (scale > observed) {
      notes_.push_back(
          {LoweringNote::Kind::kRaisedScale, node_.Products(),
           fmt::format("output channel {}: weight scale raised from {:.3g} to {:.3g}, so that "
                       "its multiplier keeps a few bits beside {} (a nearly dead channel)",
                       row, observed, scale, target.beside)});
    }
    return power_of_two_ ? SnapUp(scale, unit) : scale;
  }

  const Plan& plan_;
  const NodePlan& node_;
  const Grids& grids_;
  bool power_of_two_;
  std::vector<LoweringNote>& notes_;
};

}  // namespace

double BiasLimit(const Accumulator& acc) {
  return std::ldexp(1.0, acc.policy == AccPolicy::kError ? acc.bits - 2 : 30);
}

network::Linear LayerOf(const network::Network& network, const network::Node& node,
                        const InputSource& source) {
  if (const auto* convolution = std::get_if<network::CausalConvolution>(&node.function)) {
    network::Linear taps = {convolution->weight, convolution->bias};
    taps.bias.resize(static_cast<std::size_t>(taps.out_features()), 0.0F);
    return taps;
  }
  network::Linear layer = std::get<network::Projection>(node.function).layer;
  if (!ReadsPixels(network, node)) return layer;
  const auto depth = static_cast<std::size_t>(layer.in_features());
  const std::size_t per_channel = depth / source.mean.size();
  for (std::size_t n = 0; n < layer.bias.size(); ++n) {
    double bias = static_cast<double>(layer.bias[n]);
    for (std::size_t i = 0; i < depth; ++i) {
      const std::size_t c = i / per_channel;
      float& weight = layer.weight.data[n * depth + i];
      const double w = static_cast<double>(weight) / source.stddev[c];
      weight = static_cast<float>(w);
      bias -= w * source.mean[c];
    }
    layer.bias[n] = static_cast<float>(bias);
  }
  return layer;
}

std::vector<double> RowFactors(const Plan& plan, const NodePlan& node, const Grids& grids) {
  std::vector<double> factors;
  for (const NodePlan* reader : plan.ReadersOf(node.node->name)) {
    const auto* columns = std::get_if<network::Columns>(&reader->node->function);
    if (columns == nullptr) continue;
    const std::vector<double>& part = grids.at(reader->Tensor()).factor;
    if (part.empty()) continue;
    factors.resize(static_cast<std::size_t>(node.node->shape.back()), 1.0);
    std::copy(part.begin(), part.end(), factors.begin() + columns->first);
  }
  return factors;
}

RealLayer RealLayerOf(const Plan& plan, const NodePlan& node, network::Linear layer,
                      const Grids& grids) {
  Activation input = grids.at(plan.At(node.inputs.at(0)).Tensor());
  if (std::holds_alternative<network::CausalConvolution>(node.node->function)) {
    // The taps of a channel read that channel alone, and all have one scale.
    const auto taps = static_cast<std::size_t>(layer.in_features());
    input.scale.resize(taps, input.scale[0]);
    input.zero.resize(taps, input.zero[0]);
  }
  RealLayer real =
      Rewritten(node.Products(), std::move(layer), RowFactors(plan, node, grids), input);
  const network::Function& read = plan.network().At(node.node->inputs.at(0)).function;
  if (const auto* patches = std::get_if<network::Patches>(&read))
    real.kernel = static_cast<std::size_t>(patches->size * patches->size);
  return real;
}

FactorCodes FactorsOf(const network::Scaled& scaled) {
  constexpr double kMost = 32767;
  double most = 0;
  for (const float f : scaled.factor) most = std::max(most, std::fabs(static_cast<double>(f)));
  FactorCodes factors;
  factors.step = most == 0 ? 1 : most / kMost;
  for (const float f : scaled.factor)
    factors.codes.push_back(
        static_cast<std::int16_t>(std::nearbyint(static_cast<double>(f) / factors.step)));
  return factors;
}

Activation ProductsGrid(const Plan& plan, const NodePlan& node, const Grids& grids) {
  const std::int64_t half = std::int64_t{1} << (node.hardware.acc.bits - 1);
  Activation acc;
  acc.name = node.Products();
  acc.range = {static_cast<std::int32_t>(-half), static_cast<std::int32_t>(half - 1)};
  const Activation& lhs = grids.at(plan.At(node.inputs.at(0)).Tensor());
  if (const auto* product = std::get_if<network::Product>(&node.node->function)) {
    const Activation& rhs = grids.at(plan.At(node.inputs.at(1)).Tensor());
    if (product->transpose_rhs) {
      const auto heads = static_cast<std::size_t>(product->heads);
      const std::size_t d = rhs.scale.size() / heads;
      for (std::size_t h = 0; h < heads; ++h)
        acc.scale.push_back(lhs.scale[h * d] * rhs.scale[h * d] / product->divisor);
    } else {
      for (const double s : rhs.scale) acc.scale.push_back(s * lhs.scale[0]);
    }
  } else if (std::holds_alternative<network::Multiply>(node.node->function)) {
    const Activation& rhs = grids.at(plan.At(node.inputs.at(1)).Tensor());
    acc.range = {INT32_MIN, INT32_MAX};
    acc.scale = Expanded(rhs.scale, lhs.scale.size());
    for (std::size_t c = 0; c < lhs.scale.size(); ++c) acc.scale[c] *= lhs.scale[c];
  } else if (const auto* scaled = std::get_if<network::Scaled>(&node.node->function)) {
    acc.range = {INT32_MIN, INT32_MAX};
    for (const double s : lhs.scale) acc.scale.push_back(s * FactorsOf(*scaled).step);
  } else if (std::holds_alternative<network::Gelu>(node.node->function)) {
    // No code of the input is further from its zero point; a result is no further from 0 than its
    // input, but for an algorithm's own error.
    const double most =
        lhs.scale[0] * std::max(std::fabs(static_cast<double>(lhs.range.qmin) - lhs.zero[0]),
                                std::fabs(static_cast<double>(lhs.range.qmax) - lhs.zero[0]));
    constexpr std::int32_t kHalf = 1 << (kWideGeluBits - 1);
    acc.range = {-kHalf, kHalf - 1};
    // The algorithm's own result, where it fits, is not made finer.
    const GeluKind kind = node.numerics.gelu;
    const double unit = GeluUnit(kind, lhs.scale[0]), needed = 2 * most / kHalf;
    acc.scale.assign(static_cast<std::size_t>(node.node->shape.back()),
                     SnapUp(kind == GeluKind::kTable ? needed : std::max(needed, unit), unit));
  } else if (const auto* mean = std::get_if<network::MeanRows>(&node.node->function)) {
    // What is summed stands for the mean: the division is the scale's.
    const NodePlan& input = plan.At(node.inputs.at(0));
    const auto rows = static_cast<double>(input.node->shape[0] - mean->first);
    acc.range = {INT32_MIN, INT32_MAX};
    for (const double s : lhs.scale) acc.scale.push_back(s / rows);
  } else {
    for (const double s : grids.at(node.Weights()).scale) acc.scale.push_back(s * lhs.Absorbed());
    acc.factor = RowFactors(plan, node, grids);
  }
  acc.zero.assign(acc.scale.size(), 0);
  return acc;
}

Activation SumsGrid(const NodePlan& softmax, const Grids& grids) {
  const Activation& codes = grids.at(softmax.Tensor());
  const bool log2 = softmax.numerics.softmax == SoftmaxKind::kLogInt;
  const std::int64_t most = log2 ? 1 << 15 : codes.range.qmax;
  const auto heads = static_cast<std::size_t>(softmax.node->shape.front());
  return {softmax.Sums(),
          {0, static_cast<std::int32_t>(
                  std::min<std::int64_t>(softmax.node->shape.back() * most, INT32_MAX))},
          std::vector<double>(heads, codes.scale[0]),
          std::vector<std::int32_t>(heads, 0),
          {}};
}

Activation QuotientGrid(const Plan& plan, const NodePlan& product, const Grids& grids) {
  const Activation& values = grids.at(plan.At(product.inputs.at(1)).Tensor());
  Activation quotient{product.Quotient(), {INT32_MIN, INT32_MAX}, {}, {}, {}};
  for (const double s : values.scale)
    quotient.scale.push_back(std::ldexp(s, -RowDivideOp().fraction_bits));
  quotient.zero.assign(values.scale.size(), 0);
  return quotient;
}

void ChooseProducts(const Plan& plan, const NodePlan& node, const InputSource& source, Grids& grids,
                    std::vector<LoweringNote>& notes) {
  const bool layer = std::holds_alternative<network::Projection>(node.node->function) ||
                     std::holds_alternative<network::CausalConvolution>(node.node->function);
  if (!layer && node.Products().empty()) return;
  if (layer) {
    // Embeddings enter the program of a network of images behind its patches.
    if (source.mean.empty() && ReadsPixels(plan.network(), *node.node)) return;
    const RealLayer real =
        RealLayerOf(plan, node, LayerOf(plan.network(), *node.node, source), grids);
    grids[node.Weights()] = WeightChooser(plan, node, grids, notes).Choose(real);
  }
  grids[node.Products()] = ProductsGrid(plan, node, grids);
}

}  // namespace qsim::calibrate
