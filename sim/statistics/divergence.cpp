#include "sim/statistics/divergence.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace qsim::statistics {
namespace {

// The bin that holds `bin` after `doublings` of the width.
std::int64_t Coarser(std::int64_t bin, int doublings) { return bin >> std::min(doublings, 63); }

double Sum(const std::vector<std::int64_t>& counts) {
  return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
}

}  // namespace

PairedHistogram Pair(const DoublingHistogram& exact, const DoublingHistogram& quantized,
                     std::int64_t most_bins) {
  PairedHistogram pair;
  if (exact.count() == 0 && quantized.count() == 0) return pair;
  // The reach of both in bins of the width 2^exponent.
  const auto reach = [&](int exponent) {
    std::int64_t first = 0;
    std::int64_t last = 0;
    bool any = false;
    for (const DoublingHistogram* h : {&exact, &quantized}) {
      if (h->count() == 0) continue;
      const int doublings = exponent - h->exponent();
      const auto bins = static_cast<std::int64_t>(h->bins().size());
      const std::int64_t low = Coarser(h->first_bin(), doublings);
      const std::int64_t high = Coarser(h->first_bin() + bins - 1, doublings);
      first = any ? std::min(first, low) : low;
      last = any ? std::max(last, high) : high;
      any = true;
    }
    return std::pair(first, last);
  };
  int exponent = std::max(exact.exponent(), quantized.exponent());
  while (reach(exponent).second - reach(exponent).first >= most_bins) ++exponent;
  const auto [first, last] = reach(exponent);
  pair.width = std::ldexp(1.0, exponent);
  pair.low = static_cast<double>(first) * pair.width;
  const auto count_into = [&, first = first, last = last](const DoublingHistogram& h,
                                                          std::vector<std::int64_t>& counts) {
    counts.assign(static_cast<std::size_t>(last - first + 1), 0);
    const int doublings = exponent - h.exponent();
    std::int64_t bin = h.first_bin();
    for (const std::int64_t n : h.bins()) {
      counts[static_cast<std::size_t>(Coarser(bin++, doublings) - first)] += n;
    }
  };
  count_into(exact, pair.exact);
  count_into(quantized, pair.quantized);
  return pair;
}

double KlDivergence(const PairedHistogram& histogram) {
  const double p_sum = Sum(histogram.exact);
  const double q_sum = Sum(histogram.quantized);
  if (p_sum == 0 || q_sum == 0) return 0;
  constexpr double kHalf = 0.5;
  const double added = kHalf * static_cast<double>(histogram.exact.size());
  double nats = 0;
  for (std::size_t i = 0; i < histogram.exact.size(); ++i) {
    const double p = (static_cast<double>(histogram.exact[i]) + kHalf) / (p_sum + added);
    const double q = (static_cast<double>(histogram.quantized[i]) + kHalf) / (q_sum + added);
    nats += p * std::log(p / q);
  }
  return std::max(nats, 0.0);
}

double JsDivergence(const PairedHistogram& histogram) {
  const double p_sum = Sum(histogram.exact);
  const double q_sum = Sum(histogram.quantized);
  if (p_sum == 0 || q_sum == 0) return 0;
  double nats = 0;
  for (std::size_t i = 0; i < histogram.exact.size(); ++i) {
    const double p = static_cast<double>(histogram.exact[i]) / p_sum;
    const double q = static_cast<double>(histogram.quantized[i]) / q_sum;
    const double m = (p + q) / 2;
    if (p > 0) nats += p * std::log(p / m) / 2;
    if (q > 0) nats += q * std::log(q / m) / 2;
  }
  return std::clamp(nats, 0.0, std::numbers::ln2);
}

}  // namespace qsim::statistics
