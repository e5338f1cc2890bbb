#include "sim/calibrate/observe/observers/histogram_kl_observer.h"

#include "sim/calibrate/observe/observers/entropy_threshold.h"

namespace qsim::calibrate {

RealRange HistogramKlObserver::RangeOfGroup(const DoublingHistogram& histogram) const {
  const RealRange range = {static_cast<double>(histogram.min()),
                           static_cast<double>(histogram.max())};
  std::vector<std::int64_t> magnitudes;
  std::int64_t bin = histogram.first_bin();
  for (const std::int64_t count : histogram.bins()) {
    // Bin -1 is [-w, 0), beside bin 0 of the magnitudes.
    const auto magnitude = static_cast<std::size_t>(bin >= 0 ? bin : -bin - 1);
    if (magnitude >= magnitudes.size()) magnitudes.resize(magnitude + 1, 0);
    magnitudes[magnitude] += count;
    ++bin;
  }
  const double threshold =
      EntropyThreshold(magnitudes, EntropyLevels(section_, range)) * histogram.width();
  return {std::max(range.min, -threshold), std::min(range.max, threshold)};
}

}  // namespace qsim::calibrate
