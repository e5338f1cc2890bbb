#include "sim/calibrate/observe/observers/omse_observer.h"

namespace qsim::calibrate {

std::vector<RealRange> OmseObserver::Ranges() const {
  constexpr int kTrials = 90;
  const std::vector<RealRange> full = Styled(extremes_.ranges(), style_);
  std::vector<RealRange> best = full;
  double least = HUGE_VAL;
  for (int trial = 0; trial < kTrials; ++trial) {
    const double factor = 1.0 - 0.01 * trial;
    std::vector<RealRange> ranges;
    std::vector<Quantization> quantization;
    for (const RealRange& range : full) {
      ranges.push_back({range.min * factor, range.max * factor});
      quantization.push_back(QuantizationOf(ranges.back(), q_, has_zero_point_));
    }
    double error = 0;
    last_batch_.ForEachValue([&](std::size_t g, float value) {
      const Quantization& z = quantization[g];
      const double x = static_cast<double>(value);
      const double d = x - z.scale * (Quantize(x, z, q_) - z.zero);
      error += d * d;
    });
    if (error < least) {
      least = error;
      best = std::move(ranges);
    }
  }
  return best;
}

}  // namespace qsim::calibrate
