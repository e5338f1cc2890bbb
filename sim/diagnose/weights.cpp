#include <algorithm>
#include <utility>
#include <vector>

#include "golden/program/queries.h"
#include "sim/diagnose/measurement.h"
#include "sim/semantics/real_weights.h"

namespace qsim::diagnose {
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

}  // namespace

double WeightOnPixels(const FloatTensor& weight, std::size_t element, const ImageInputs* pixels) {
  const auto w = static_cast<double>(weight.data[element]);
  if (pixels == nullptr) return w;
  const auto depth = static_cast<std::size_t>(weight.shape[1]);
  return w / pixels->stddev[element % depth / (depth / pixels->stddev.size())];
}

std::vector<WeightLoss> MeasureWeights(const MixedExecutor& network) {
  std::vector<WeightLoss> losses;
  const Bundle& bundle = network.bundle();
  for (const Op& op : bundle.program.ops) {
    const auto linear = LinearOperandsOf(op);
    if (!linear) continue;
    const network::Linear& layer = *LinearOf(network.model(), OutputOf(op));
    const ImageInputs* pixels = network.PixelsIn(linear->input);
    const auto& codes = bundle.program.Constant(linear->weight).As<std::int8_t>();
    const Grid in = bundle.GridOf(linear->input);
    const auto depth = static_cast<std::size_t>(layer.in_features());
    WeightLoss loss;
    loss.tensor = linear->weight;
    std::vector<double> exact(depth), centred(depth);
    for (std::size_t n = 0; n < layer.bias.size(); ++n) {
      for (std::size_t k = 0; k < depth; ++k) {
        const std::size_t i = n * depth + k;
        exact[k] = WeightOnPixels(layer.weight, i, pixels);
        centred[k] = static_cast<double>(codes[i] - linear->WeightZero(n)) / in.At(k).scale;
      }
      AddRow(exact, centred, loss);
    }
    losses.push_back(std::move(loss));
  }
  return losses;
}

}  // namespace qsim::diagnose
