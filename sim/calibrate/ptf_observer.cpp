#include "sim/calibrate/ptf_observer.h"

#include <array>
#include <cmath>

namespace qsim {

PtfQuantization EstimatePtf(RealRange range, QuantRange q, const ChannelLayout& layout,
                            std::span<const float> batch) {
  constexpr std::array<int, 4> kFactors = {1, 2, 4, 8};
  const Quantization overall = QuantizationOf(range, q, /*has_zero_point=*/true);
  PtfQuantization result{overall.scale, overall.zero, {}};
  std::vector<std::array<double, kFactors.size()>> errors(static_cast<std::size_t>(layout.channels),
                                                          {0, 0, 0, 0});
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const double x = static_cast<double>(batch[i]);
    auto& of_channel =
        errors[static_cast<std::size_t>(layout.ChannelOf(static_cast<std::int64_t>(i)))];
    for (std::size_t f = 0; f < kFactors.size(); ++f) {
      const Quantization z = {overall.scale / 8 * kFactors[f], overall.zero};
      const double d = x - z.scale * (Quantize(x, z, q) - z.zero);
      of_channel[f] += d * d;
    }
  }
  for (const auto& of_channel : errors) {
    std::size_t best = 0;
    for (std::size_t f = 1; f < kFactors.size(); ++f) {
      if (of_channel[f] < of_channel[best]) best = f;
    }
    result.factor.push_back(kFactors[best]);
  }
  return result;
}

}  // namespace qsim
