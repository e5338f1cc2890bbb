#include "sim/semantics/real_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/error.h"

namespace qsim::semantics {

const network::Linear* LinearOf(const network::Network& model, const std::string& output) {
  const network::Node* node = model.NodeOf(output);
  const auto* projection =
      node == nullptr ? nullptr : std::get_if<network::Projection>(&node->function);
  return projection == nullptr ? nullptr : &projection->layer;
}

const FloatTensor* FloatWeights(const network::Network& model, const std::string& output) {
  if (const network::Linear* layer = LinearOf(model, output)) return &layer->weight;
  const network::Node* node = model.NodeOf(output);
  const auto* convolution =
      node == nullptr ? nullptr : std::get_if<network::CausalConvolution>(&node->function);
  return convolution == nullptr ? nullptr : &convolution->weight;
}

std::vector<double> RealWeights(const Bundle& bundle, const Op& op,
                                std::span<const double> deviation) {
  const IntTensor& constant = bundle.program.Constant(WeightOf(op));
  const auto& codes = constant.As<std::int8_t>();
  const auto rows = static_cast<std::size_t>(constant.shape().at(0));
  const auto depth = static_cast<std::size_t>(constant.shape().at(1));
  const TensorScale& input = bundle.scales.at(InputsOf(op).front());
  const TensorScale& output = bundle.scales.at(OutputOf(op));
  const TensorScale& weight = bundle.scales.at(WeightOf(op));
  // The taps of a channel read that channel, and all channels have one scale.
  const bool taps = std::holds_alternative<CausalConvOp>(op);
  if (!(taps || input.Fits(depth)) || !output.Fits(rows) || !weight.Fits(rows)) {
    throw InternalError(OutputOf(op) + ": scales that do not fit the weights");
  }
  const double absorbed = *std::max_element(input.scale.begin(), input.scale.end());
  std::vector<double> column(depth);
  for (std::size_t k = 0; k < depth; ++k) {
    column[k] = absorbed / input.At(taps ? 0 : k).scale;
    if (!deviation.empty()) column[k] *= deviation[k / (depth / deviation.size())];
  }
  std::vector<double> real(codes.size());
  for (std::size_t n = 0; n < rows; ++n) {
    const Quantization q = weight.At(n);
    // Rows of Q and K can have a factor that only their taps' scales tell; without one, what is
    // left of the quotient is rounding.
    const double quotient = output.At(n).scale / (q.scale * absorbed);
    const double row = std::fabs(quotient - 1) < 1e-12 ? 1.0 : quotient;
    for (std::size_t k = 0; k < depth; ++k) {
      real[n * depth + k] = q.scale * (codes[n * depth + k] - q.zero) * (row * column[k]);
    }
  }
  return real;
}

}  // namespace qsim::semantics
