#include "sim/calibrate/observe/observers/ptf_observer.h"

#include <array>

namespace qsim::calibrate {

std::vector<RealRange> PtfObserver::Ranges() const {
  constexpr std::array<double, 4> kFactors = {1.0 / 8, 2.0 / 8, 4.0 / 8, 1};
  const RealRange overall = Styled(extremes_.ranges().front(), style_);
  std::array<RealRange, kFactors.size()> ranges;
  std::array<Quantization, kFactors.size()> quantization;
  for (std::size_t f = 0; f < kFactors.size(); ++f) {
    ranges[f] = {overall.min * kFactors[f], overall.max * kFactors[f]};
    quantization[f] = QuantizationOf(ranges[f], q_, has_zero_point_);
  }
  std::vector<std::array<double, kFactors.size()>> errors(groups(), {0, 0, 0, 0});
  last_batch_.ForEachValue([&](std::size_t group, float value) {
    const double x = static_cast<double>(value);
    for (std::size_t f = 0; f < kFactors.size(); ++f) {
      const Quantization& z = quantization[f];
      const double d = x - z.scale * (Quantize(x, z, q_) - z.zero);
      errors[group][f] += d * d;
    }
  });
  std::vector<RealRange> chosen;
  for (const auto& of_group : errors) {
    const auto least = std::min_element(of_group.begin(), of_group.end());
    chosen.push_back(ranges[static_cast<std::size_t>(least - of_group.begin())]);
  }
  return chosen;
}

}  // namespace qsim::calibrate
