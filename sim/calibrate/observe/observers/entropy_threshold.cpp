#include "sim/calibrate/observe/observers/entropy_threshold.h"

#include <cmath>
#include <vector>

#include "sim/statistics/elementary.h"

namespace qsim::calibrate {
namespace {

// Divergences that differ by less are equal: a sum of logarithms has a rounding of its own.
constexpr double kTie = 1e-10;

double XLogX(double x) { return x > 0 ? x * Log(x) : 0; }

// Sums over the first i bins: of the counts, of count * log(count), and of bins that are not empty.
struct Prefix {
  std::int64_t count = 0;
  double x_log_x = 0;
  std::int64_t filled = 0;
};

}  // namespace

std::int64_t EntropyLevels(const Section& section, const RealRange& seen) {
  const bool one_sided = seen.min >= 0 || seen.max <= 0;
  const bool all_codes = section.has_zero_point ? one_sided : !section.is_signed;
  return std::int64_t{1} << (all_codes ? section.bits : section.bits - 1);
}

double EntropyThreshold(std::span<const std::int64_t> bins, std::int64_t levels) {
  const auto size = static_cast<std::int64_t>(bins.size());
  std::vector<Prefix> prefix(bins.size() + 1);
  for (std::size_t j = 0; j < bins.size(); ++j) {
    prefix[j + 1] = {prefix[j].count + bins[j],
                     prefix[j].x_log_x + XLogX(static_cast<double>(bins[j])),
                     prefix[j].filled + (bins[j] > 0 ? 1 : 0)};
  }
  const double total = static_cast<double>(prefix.back().count);
  std::int64_t best = size;
  double least = HUGE_VAL;
  for (std::int64_t i = levels; i <= size; ++i) {
    const auto end = static_cast<std::size_t>(i);
    const std::int64_t kept = prefix[end].count;
    const double outliers = total - static_cast<double>(kept);
    const double last = static_cast<double>(bins[end - 1]);
    if (kept == 0 || (outliers > 0 && last == 0)) continue;
    // sum of p log(p / q) for p = P_j * total and q = c_l / n_l of its level, where a level has c_l
    // values in n_l bins that are not empty.
    double sum = prefix[end - 1].x_log_x + XLogX(last + outliers);
    std::int64_t begin_bin = 0;
    for (std::int64_t level = 0; level < levels; ++level) {
      const std::int64_t end_bin = ((level + 1) * i + levels - 1) / levels;
      const Prefix& from = prefix[static_cast<std::size_t>(begin_bin)];
      const Prefix& to = prefix[static_cast<std::size_t>(end_bin)];
      begin_bin = end_bin;
      if (to.count == from.count) continue;
      const double in_q = static_cast<double>(to.count - from.count);
      const double in_p = in_q + (level == levels - 1 ? outliers : 0);
      sum -= in_p * Log(in_q / static_cast<double>(to.filled - from.filled));
    }
    const double divergence = sum / total + Log(static_cast<double>(kept) / total);
    if (divergence < least - kTie) {
      least = divergence;
      best = i;
    }
  }
  return static_cast<double>(best) + 0.5;
}

}  // namespace qsim::calibrate
