#include "sim/calibrate/observe/observers/percentile_observer.h"

namespace qsim::calibrate {
namespace {

// Linear between the two nearest order statistics.
double Quantile(std::vector<float>& values, double q) {
  const double position = q * static_cast<double>(values.size() - 1);
  const double below = std::floor(position);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), nth, values.end());
  const double lower = static_cast<double>(*nth);
  if (nth + 1 == values.end()) return lower;
  const double upper = static_cast<double>(*std::min_element(nth + 1, values.end()));
  return lower + (position - below) * (upper - lower);
}

}  // namespace

void PercentileObserver::EndBatch() {
  std::vector<RealRange> ranges;
  for (std::vector<float>& values : batch_.Take()) {
    const double low = Quantile(values, 1 - alpha_);
    ranges.push_back({low, Quantile(values, alpha_)});
  }
  smoothing_.Add(ranges);
}

}  // namespace qsim::calibrate
