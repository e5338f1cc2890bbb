#include "sim/diagnose/causes/multipliers.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "golden/ops/one_or_each.h"
#include "sim/statistics/median.h"

namespace qsim::diagnose {

double RealOf(Multiplier multiplier) {
  return std::ldexp(static_cast<double>(multiplier.m), -multiplier.shift);
}

MultiplierFit FitMultipliers(const std::vector<Multiplier>& actual,
                             const std::vector<Multiplier>& wanted) {
  MultiplierFit fit;
  fit.rounded = true;
  std::vector<double> factors;
  for (std::size_t c = 0; c < std::max(actual.size(), wanted.size()); ++c) {
    const Multiplier a = EntryFor(actual, c);
    const Multiplier w = EntryFor(wanted, c);
    const double value = RealOf(w);
    if (value == 0) continue;
    const double factor = RealOf(a) / value;
    factors.push_back(factor);
    fit.largest_error = std::max(fit.largest_error, std::fabs(factor - 1));
    fit.off += std::fabs(factor - 1) > kHealthyRatio;
    fit.bits = std::max(
        fit.bits, static_cast<int>(std::bit_width(static_cast<std::uint32_t>(std::abs(a.m)))));
    // What is wanted is rounded as well, at a shift of its own.
    const double exact = std::ldexp(value, a.shift);
    const double most = 0.5 + std::ldexp(0.5, a.shift - w.shift) + 1e-3;
    fit.rounded = fit.rounded && std::fabs(static_cast<double>(a.m) - exact) <= most;
  }
  if (factors.empty()) return fit;
  fit.least = *std::min_element(factors.begin(), factors.end());
  fit.most = *std::max_element(factors.begin(), factors.end());
  fit.centre = Median(factors);
  // Common shifts leave the smallest ratios a few bits: most channels decide.
  const auto near = std::count_if(factors.begin(), factors.end(), [&](double f) {
    return std::fabs(f - fit.centre) <= 0.02 * std::fabs(fit.centre);
  });
  fit.uniform = static_cast<std::size_t>(near) * 10 >= factors.size() * 9;
  return fit;
}

}  // namespace qsim::diagnose
