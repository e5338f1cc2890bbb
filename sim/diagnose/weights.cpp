#include <algorithm>
#include <vector>

#include "sim/diagnose/taps.h"
#include "sim/semantics/real_weights.h"

namespace qsim {
namespace {

void Include(double x, Span& span) { span = {std::min(span.min, x), std::max(span.max, x)}; }

// One output channel: the codes, re-centred and in steps of the layer's input, times the factor
// that fits the float weights best.
void AddRow(const std::vector<double>& exact, const std::vector<double>& codes, WeightLoss& loss) {
  double product = 0;
  double square = 0;
  for (std::size_t k = 0; k < codes.size(); ++k) {
    product += exact[k] * codes[k];
    square += codes[k] * codes[k];
  }
  const double scale = square > 0 ? product / square : 0;
  for (std::size_t k = 0; k < codes.size(); ++k) {
    const double integer = scale * codes[k];
    loss.own.Add(exact[k], integer - exact[k]);
    Include(exact[k], loss.exact);
    Include(integer, loss.integer);
  }
}

WeightLoss LossOf(const Bundle& bundle, const network::Linear& layer, const GemmOp& gemm,
                  const std::vector<double>& stddev) {
  const IntTensor& weight = bundle.program.Constant(gemm.weight);
  const std::vector<std::int8_t>& codes = weight.As<std::int8_t>();
  const Grid in = bundle.GridOf(gemm.input);
  const auto rows = static_cast<std::size_t>(weight.shape()[0]);
  const auto depth = static_cast<std::size_t>(weight.shape()[1]);
  WeightLoss loss;
  loss.tensor = gemm.weight;
  std::vector<double> exact(depth), centred(depth);
  for (std::size_t n = 0; n < rows; ++n) {
    const std::vector<std::int32_t>& zeros = gemm.weight_zero;
    const std::int32_t zero = zeros.empty() ? 0 : zeros[zeros.size() == 1 ? 0 : n];
    for (std::size_t k = 0; k < depth; ++k) {
      const std::size_t i = n * depth + k;
      exact[k] = static_cast<double>(layer.weight.data[i]);
      if (!stddev.empty()) exact[k] /= stddev[k / (depth / stddev.size())];
      centred[k] = static_cast<double>(codes[i] - zero) / in.At(k).scale;
    }
    AddRow(exact, centred, loss);
  }
  return loss;
}

}  // namespace

std::vector<WeightLoss> MeasureWeights(const MixedExecutor& network) {
  std::vector<WeightLoss> losses;
  for (const Op& op : network.bundle().program.ops) {
    const auto* gemm = std::get_if<GemmOp>(&op);
    if (gemm == nullptr) continue;
    const ImageInputs* pixels = network.PixelsIn(gemm->input);
    losses.push_back(LossOf(network.bundle(), *LinearOf(network.model(), gemm->output), *gemm,
                            pixels != nullptr ? pixels->stddev : std::vector<double>{}));
  }
  return losses;
}

}  // namespace qsim
