#include "sim/semantics/smoothing.h"

#include <algorithm>
#include <cmath>

namespace qsim::semantics {
namespace {

constexpr double kLeast = 1.0 / 1024;

void Bound(std::vector<double>& values) {
  const double largest = std::ranges::max(values);
  for (double& v : values) v = largest == 0 ? 1 : std::max(v, largest * kLeast);
}

std::vector<double> Columns(const std::vector<network::Linear>& layers, std::size_t channels) {
  std::vector<double> columns(channels, 0);
  for (const network::Linear& layer : layers) {
    for (std::size_t i = 0; i < layer.weight.data.size(); ++i) {
      double& column = columns[i % channels];
      column = std::max(column, std::fabs(static_cast<double>(layer.weight.data[i])));
    }
  }
  return columns;
}

}  // namespace

std::vector<double> SmoothingFactors(const std::vector<RealRange>& channels,
                                     const std::vector<network::Linear>& layers, double exponent) {
  std::vector<double> x;
  for (const RealRange& range : channels) x.push_back(std::max(-range.min, range.max));
  std::vector<double> w = Columns(layers, x.size());
  Bound(x);
  Bound(w);
  std::vector<double> factors;
  for (std::size_t c = 0; c < x.size(); ++c)
    factors.push_back(std::pow(x[c], exponent) / std::pow(w[c], 1 - exponent));
  const double largest = std::ranges::max(factors);
  for (double& f : factors) f /= largest;
  return factors;
}

}  // namespace qsim::semantics
