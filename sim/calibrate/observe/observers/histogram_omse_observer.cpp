#include "sim/calibrate/observe/observers/histogram_omse_observer.h"

namespace qsim::calibrate {
namespace {

// The integral of (t - code(t))^2 up to u, where code(t) rounds to the nearest of lo..hi. Each
// whole cell contributes 1/12; beyond the outermost codes the last term grows as a cube. Codes are
// at most 16 bits and a zero point, so that 32 bits hold them.
double ErrorIntegral(double u, double lo, double hi) {
  const double shifted = std::clamp(u, lo, hi) + 0.5;
  auto code = static_cast<double>(static_cast<std::int32_t>(shifted));
  if (code > shifted) code -= 1;
  code = std::min(code, hi);
  const double rest = u - code;
  return code / 12 + rest * rest * rest / 3;
}

}  // namespace

double ExpectedSquaredError(const DoublingHistogram& histogram, const RealRange& range,
                            QuantRange q, bool has_zero_point) {
  const Quantization z = QuantizationOf(range, q, has_zero_point);
  const double lo = static_cast<double>(q.qmin - z.zero);
  const double hi = static_cast<double>(q.qmax - z.zero);
  const double min = static_cast<double>(histogram.min()) / z.scale;
  const double max = static_cast<double>(histogram.max()) / z.scale;
  if (min == max) {
    const double rest = min - std::nearbyint(std::clamp(min, lo, hi));
    return rest * rest * z.scale * z.scale;
  }
  const double width = histogram.width() / z.scale;
  double begin = min;
  double begin_integral = ErrorIntegral(min, lo, hi);
  double sum = 0;
  std::int64_t bin = histogram.first_bin();
  for (const std::int64_t count : histogram.bins()) {
    ++bin;
    const double end = std::min(static_cast<double>(bin) * width, max);
    const double end_integral = ErrorIntegral(end, lo, hi);
    if (count > 0) {
      // A largest value on the lower edge of its bin leaves that bin no width.
      const double rest = end - std::nearbyint(std::clamp(end, lo, hi));
      const double mean =
          end > begin ? (end_integral - begin_integral) / (end - begin) : rest * rest;
      sum += static_cast<double>(count) * mean;
    }
    begin = end;
    begin_integral = end_integral;
  }
  return sum / static_cast<double>(histogram.count()) * z.scale * z.scale;
}

RealRange HistogramOmseObserver::RangeOfGroup(const DoublingHistogram& histogram) const {
  constexpr int kTrials = 90;
  const RealRange full =
      Styled(RealRange{static_cast<double>(histogram.min()), static_cast<double>(histogram.max())},
             style_);
  RealRange best = full;
  double least = HUGE_VAL;
  const auto search = [&](bool lower, bool upper) {
    const RealRange start = best;
    for (int trial = 0; trial < kTrials; ++trial) {
      const double factor = 1.0 - 0.01 * trial;
      const RealRange range = {lower ? full.min * factor : start.min,
                               upper ? full.max * factor : start.max};
      const double error = ExpectedSquaredError(histogram, range, q_, has_zero_point_);
      if (error < least) {
        least = error;
        best = range;
      }
    }
  };
  search(true, true);
  if (has_zero_point_ && full.min < 0 && full.max > 0) {
    search(false, true);
    search(true, false);
  }
  return best;
}

}  // namespace qsim::calibrate
