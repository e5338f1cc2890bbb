#include "sim/calibrate/observe/observers/kl_observer.h"

#include "sim/calibrate/observe/observers/entropy_threshold.h"

namespace qsim::calibrate {
namespace {

// A later batch can be larger than the first by any factor; its bins must not fill the memory.
// Values beyond are counted in the last bin.
constexpr double kMostBins = 1 << 21;

}  // namespace

void KlObserver::Collect(const std::vector<float>& values, Histogram& histogram) const {
  double largest = 0;
  for (const float x : values) largest = std::max(largest, std::fabs(static_cast<double>(x)));
  if (histogram.width == 0) {
    if (largest == 0) {
      histogram.zeros += static_cast<std::int64_t>(values.size());
      return;
    }
    histogram.width = largest / section_.kl_bins;
    histogram.top = largest;
    histogram.bins.assign(static_cast<std::size_t>(section_.kl_bins), 0);
    histogram.bins.front() = histogram.zeros;
  }
  if (largest > histogram.top) {
    const double more = std::ceil((largest - histogram.top) / histogram.width);
    const double bins = std::min(static_cast<double>(histogram.bins.size()) + more, kMostBins);
    histogram.bins.resize(static_cast<std::size_t>(bins), 0);
    histogram.top += more * histogram.width;
  }
  // The last bin holds its upper edge, too.
  const double last = static_cast<double>(histogram.bins.size() - 1);
  for (const float x : values) {
    const double position = std::fabs(static_cast<double>(x)) / histogram.width;
    ++histogram.bins[static_cast<std::size_t>(std::min(position, last))];
  }
}

void KlObserver::EndBatch() {
  const std::vector<std::vector<float>> batch = batch_.Take();
  for (std::size_t g = 0; g < groups(); ++g) Collect(batch[g], histograms_[g]);
}

std::vector<RealRange> KlObserver::Ranges() const {
  std::vector<RealRange> ranges;
  for (std::size_t g = 0; g < groups(); ++g) {
    RealRange range = extremes_.ranges()[g];
    const Histogram& histogram = histograms_[g];
    if (histogram.width > 0) {
      const double threshold =
          EntropyThreshold(histogram.bins, EntropyLevels(section_, range)) * histogram.width;
      range = {std::max(range.min, -threshold), std::min(range.max, threshold)};
    }
    ranges.push_back(Styled(range, style_));
  }
  return ranges;
}

}  // namespace qsim::calibrate
