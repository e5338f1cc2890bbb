// Two histograms brought to the same bins, and how far apart they are.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/namespaces.h"
#include "sim/statistics/doubling_histogram.h"

namespace qsim::statistics {

// Counts of two tensors in the same bins: bin i of `exact` and of `quantized` counts the values in
// low + i width <= x < low + (i + 1) width. `width` is a power of two and `low` a multiple of it.
struct PairedHistogram {
  double low = 0;
  double width = 0;
  std::vector<std::int64_t> exact;  // as many as `quantized`
  std::vector<std::int64_t> quantized;
  bool operator==(const PairedHistogram&) const = default;
};

// Merges pairs of bins until both have the same width and reach from the smallest value of the two
// tensors to the largest in at most `most_bins` (>= 2) bins. Exact: the counts are those of a
// histogram that had these bins from the start. An 8-bit tensor has 255 steps, so with the default
// a bin holds four to eight of them, and the divergences see the shape, not the gaps between codes.
inline constexpr std::int64_t kPairedBins = 64;
PairedHistogram Pair(const DoublingHistogram& exact, const DoublingHistogram& quantized,
                     std::int64_t most_bins = kPairedBins);

// sum p ln(p / q), p of `exact` and q of `quantized`, in nats. A bin in which only one of the two
// has values would make it infinite: half a count is added to every bin of both (the estimator of
// Krichevsky and Trofimov). 0 for equal histograms, never negative; 0 where there are no values.
double KlDivergence(const PairedHistogram& histogram);

// (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in nats, of the counts as they are: 0 for
// equal distributions, ln 2 where no bin has values of both. 0 where there are no values. J. Lin,
// "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1), 1991.
double JsDivergence(const PairedHistogram& histogram);

}  // namespace qsim::statistics
