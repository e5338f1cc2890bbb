#include "sim/semantics/smoothing.h"

#include <algorithm>
#include <cmath>
#include <functional>

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

// Every factor of a channel whose |x| by its factor is above the (k+1)-th largest of them, raised
// so that it is not; k = ceil(share n), and one channel is left.
void RaiseOutliers(const std::vector<double>& x, double share, std::vector<double>& factors) {
  std::vector<double> sizes;
  for (std::size_t c = 0; c < x.size(); ++c) sizes.push_back(x[c] / factors[c]);
  std::vector<double> sorted = sizes;
  std::ranges::sort(sorted, std::greater<>());
  const double wanted = std::ceil(share * static_cast<double>(x.size()));
  const double threshold = sorted[std::min(static_cast<std::size_t>(wanted), x.size() - 1)];
  for (std::size_t c = 0; c < x.size(); ++c) factors[c] *= std::max(1.0, sizes[c] / threshold);
}

}  // namespace

std::vector<double> SmoothingFactors(const std::vector<RealRange>& channels,
                                     const std::vector<network::Linear>& layers, double exponent,
                                     double outliers) {
  std::vector<double> x;
  for (const RealRange& range : channels) x.push_back(std::max(-range.min, range.max));
  std::vector<double> w = Columns(layers, x.size());
  Bound(x);
  Bound(w);
  std::vector<double> factors(x.size(), 1);
  for (std::size_t c = 0; exponent != 0 && c < x.size(); ++c)
    factors[c] = std::pow(x[c], exponent) / std::pow(w[c], 1 - exponent);
  if (outliers != 0) RaiseOutliers(x, outliers, factors);
  const double largest = std::ranges::max(factors);
  for (double& f : factors) f /= largest;
  return factors;
}

}  // namespace qsim::semantics
