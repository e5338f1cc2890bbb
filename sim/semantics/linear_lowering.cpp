#include "sim/semantics/linear_lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "sim/error.h"
#include "sim/semantics/weight_rounding.h"

namespace qsim::semantics {
namespace {

// `correction`: added to the layer's own bias.
std::int32_t FoldedBias(const RealLayer& layer, std::size_t row, double scale, double correction,
                        std::int32_t weight_zero, std::span<const std::int8_t> weights) {
  const double bias = std::nearbyint((static_cast<double>(layer.bias[row]) + correction) /
                                     (layer.input_scale * scale));
  std::int64_t folded = static_cast<std::int64_t>(bias);
  for (std::size_t k = 0; k < weights.size(); ++k) {
    folded -= static_cast<std::int64_t>(layer.input_zero[k]) * (weights[k] - weight_zero);
  }
  if (folded < std::numeric_limits<std::int32_t>::min() ||
      folded > std::numeric_limits<std::int32_t>::max()) {
    throw InputError(
        fmt::format("{}: output channel {}: bias {} does not fit int32", layer.name, row, folded));
  }
  return static_cast<std::int32_t>(folded);
}

}  // namespace

RealLayer Rewritten(std::string name, network::Linear layer, const std::vector<double>& factor,
                    const Activation& input) {
  RealLayer real{std::move(name), std::move(layer.weight), std::move(layer.bias), input.Absorbed(),
                 input.zero};
  const std::size_t depth = input.scale.size();
  for (std::size_t row = 0; row < factor.size(); ++row) {
    if (factor[row] == 1.0) continue;
    const auto divide = [&](float& value) {
      value = static_cast<float>(static_cast<double>(value) / factor[row]);
    };
    for (std::size_t k = 0; k < depth; ++k) divide(real.weight.data[row * depth + k]);
    divide(real.bias[row]);
  }
  for (std::size_t i = 0; i < real.weight.data.size(); ++i) {
    float& w = real.weight.data[i];
    w = static_cast<float>(static_cast<double>(w) * (input.scale[i % depth] / real.input_scale));
  }
  return real;
}

// Doubling keeps a power-of-two scale a power of two.
double RaisedForBias(const RealLayer& layer, std::int64_t first_row, std::int64_t rows,
                     double scale, double limit, std::vector<LoweringNote>& notes) {
  double largest = 0;
  for (const float b :
       std::span(layer.bias)
           .subspan(static_cast<std::size_t>(first_row), static_cast<std::size_t>(rows)))
    largest = std::max(largest, std::fabs(static_cast<double>(b)));
  double raised = scale;
  while (largest / (layer.input_scale * raised) > limit) raised *= 2;
  if (raised != scale) {
    notes.push_back(
        {LoweringNote::Kind::kRaisedScale, layer.name,
         fmt::format(
             "output channel {}: weight scale raised from {:.3g} to {:.3g}, so that its bias "
             "fits the accumulator (a nearly dead channel)",
             first_row, scale, raised)});
  }
  return raised;
}

Activation Recentred(Activation grid) {
  if (grid.range.qmin < 0) return grid;
  const std::int32_t offset = (grid.range.qmax + 1) / 2;
  grid.range = {grid.range.qmin - offset, grid.range.qmax - offset};
  for (std::int32_t& z : grid.zero) z -= offset;
  return grid;
}

QuantizedLinear QuantizeLinear(const RealLayer& layer, const Activation& grid,
                               const std::vector<double>& mean, QuantizeRule rule) {
  const std::int64_t channels = layer.weight.shape[0];
  const std::int64_t depth = layer.weight.shape[1];
  const auto width = static_cast<std::size_t>(depth);
  const std::vector<std::int32_t> zero = Recentred(grid).zero;
  QuantizedLinear result;
  result.weight = IntTensor(DType::kInt8, {channels, depth});
  result.bias = IntTensor(DType::kInt32, {channels});
  std::vector<std::int8_t>& weight = result.weight.As<std::int8_t>();
  std::vector<std::int32_t>& bias = result.bias.As<std::int32_t>();
  const QuantRange stored = Recentred(grid).range;
  std::vector<double> exact(width);
  for (std::size_t n = 0; n < grid.scale.size(); ++n) {
    const Quantization q = {grid.scale[n], grid.zero[n]};
    const std::int32_t recentre = q.zero - zero[n];
    const std::span<std::int8_t> codes = std::span(weight).subspan(n * width, width);
    const std::span<const float> reals = std::span(layer.weight.data).subspan(n * width, width);
    for (std::size_t k = 0; k < width; ++k) {
      codes[k] = static_cast<std::int8_t>(
          Quantize(static_cast<double>(reals[k]), q, grid.range, nullptr, rule) - recentre);
    }
    if (grid.rounding == WeightRounding::kSquant) {
      for (std::size_t k = 0; k < width; ++k)
        exact[k] = static_cast<double>(reals[k]) / q.scale + static_cast<double>(zero[n]);
      CancelErrors(exact, layer.kernel == 0 ? width : layer.kernel, stored, codes);
    }
    double correction = 0;
    for (std::size_t k = 0; k < mean.size(); ++k) {
      const std::size_t i = n * width + k;
      const double rounded = q.scale * static_cast<double>(weight[i] - zero[n]);
      correction += (static_cast<double>(layer.weight.data[i]) - rounded) * mean[k];
    }
    bias[n] = FoldedBias(layer, n, q.scale, correction, zero[n], codes);
  }
  return result;
}

}  // namespace qsim::semantics
