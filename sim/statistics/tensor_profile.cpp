#include "sim/statistics/tensor_profile.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace qsim::statistics {
namespace {

constexpr double kOutlierSigmas = 3;

// Values in part of a histogram, and how far the number can be from the truth.
struct Tail {
  double count = 0;
  double error = 0;
};

// The values beyond `limit`, above it for sign 1, below it for sign -1.
Tail Beyond(const DoublingHistogram& h, double limit, double sign) {
  Tail tail;
  std::int64_t bin = h.first_bin();
  for (const std::int64_t n : h.bins()) {
    const double low = h.LowerEdge(bin);
    const double high = h.LowerEdge(bin + 1);
    ++bin;
    const double above = std::clamp((high - limit) / h.width(), 0.0, 1.0);
    const double share = sign > 0 ? above : 1 - above;
    const auto count = static_cast<double>(n);
    tail.count += share * count;
    if (low < limit && limit < high) tail.error += std::max(share, 1 - share) * count;
  }
  return tail;
}

}  // namespace

void TensorCounts::Add(const IntTensor& codes, std::span<const double> quantized,
                       std::span<const float> exact) {
  codes_.Add(codes);
  // Bins are of floats; the rounding moves a value by less than 2^-24 of itself. What a double can
  // hold and a float cannot is counted at the end of the range.
  const double largest = std::numeric_limits<float>::max();
  std::vector<float> narrow(quantized.size());
  std::transform(quantized.begin(), quantized.end(), narrow.begin(), [largest](double value) {
    return static_cast<float>(std::clamp(value, -largest, largest));
  });
  quantized_.Add(narrow);
  exact_.Add(exact);
}

void TensorCounts::Merge(const TensorCounts& other) {
  codes_.Merge(other.codes_);
  exact_.Merge(other.exact_);
  quantized_.Merge(other.quantized_);
}

void TensorMoments::Add(std::span<const double> quantized_values,
                        std::span<const float> exact_values) {
  quantized.Add(quantized_values);
  exact.Add(exact_values);
}

void TensorMoments::Merge(const TensorMoments& later) {
  exact.Merge(later.exact);
  quantized.Merge(later.quantized);
}

ValueSummary Summarise(const Moments& moments, const DoublingHistogram& histogram) {
  ValueSummary summary{moments.count(), moments.min(), moments.max(), moments.mean(),
                       moments.StandardDeviation()};
  if (summary.stddev == 0) return summary;  // no values, or one: its mean may be rounded
  const auto count = static_cast<double>(summary.count);
  const double reach = kOutlierSigmas * summary.stddev;
  // Extremes are exact: a limit that they do not pass has nothing beyond it.
  if (summary.max > summary.mean + reach) {
    const Tail tail = Beyond(histogram, summary.mean + reach, 1);
    summary.outlier_share += tail.count / count;
    summary.outlier_error += tail.error / count;
  }
  if (summary.min < summary.mean - reach) {
    const Tail tail = Beyond(histogram, summary.mean - reach, -1);
    summary.outlier_share += tail.count / count;
    summary.outlier_error += tail.error / count;
  }
  return summary;
}

TensorProfile MakeProfile(const TensorCounts& counts, const TensorMoments& moments) {
  TensorProfile profile;
  profile.quantized = Summarise(moments.quantized, counts.quantized());
  profile.histogram = Pair(counts.exact(), counts.quantized());
  if (moments.exact.count() > 0) {
    profile.exact = Summarise(moments.exact, counts.exact());
    profile.error.emplace();
    profile.error->kl = KlDivergence(profile.histogram);
    profile.error->js = JsDivergence(profile.histogram);
  }
  const CodeUse& codes = counts.codes();
  profile.codes = {codes.range(),      codes.min(),           codes.max(),
                   codes.RangeShare(), codes.DistinctCodes(), codes.EntropyBits()};
  return profile;
}

}  // namespace qsim::statistics
