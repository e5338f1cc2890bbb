#include "sim/statistics/estimate.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

namespace qsim::statistics {
namespace {

// Student's t, 97.5 %: the expansion of Cornish and Fisher, within 0.004 from 3 degrees on.
double TwoSided95(std::size_t degrees) {
  constexpr double kExactOf1 = 12.7062;
  constexpr double kExactOf2 = 4.3027;
  if (degrees == 1) return kExactOf1;
  if (degrees == 2) return kExactOf2;
  const double z = 1.959964;
  const double n = static_cast<double>(degrees);
  const double z3 = z * z * z;
  const double z5 = z3 * z * z;
  const double z7 = z5 * z * z;
  const double z9 = z7 * z * z;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n) +
         (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / (92160 * n * n * n * n);
}

double Sum(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

double Mean(std::span<const double> values) {
  return Sum(values) / static_cast<double>(values.size());
}

}  // namespace

double HalfWidth(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = Mean(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double n = static_cast<double>(values.size());
  return TwoSided95(values.size() - 1) * std::sqrt(squares / (n - 1) / n);
}

Estimate MeanEstimate(std::span<const double> values, double least, double most) {
  const double mean = Mean(values);
  const double half = HalfWidth(values);
  if (std::isnan(half)) return {mean, half, half};
  return {mean, std::max(mean - half, least), std::min(mean + half, most)};
}

Estimate RatioEstimate(std::span<const double> a, std::span<const double> b) {
  const double ratio = Sum(a) / Sum(b);
  const double mean = Mean(b);
  // The ratio moves with (a_i - ratio b_i) / mean b.
  std::vector<double> moves;
  for (std::size_t i = 0; i < a.size(); ++i) moves.push_back((a[i] - ratio * b[i]) / mean);
  const double half = HalfWidth(moves);
  return {ratio, ratio - half, ratio + half};
}

}  // namespace qsim::statistics
