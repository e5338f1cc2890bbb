// Power-of-two factors per channel: the published PtfObserver of FQ-ViT (Lin et al., IJCAI 2022).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/calibrate/observer.h"

namespace qsim {

// One zero point for all channels; channel c has the scale base / 8 * factor[c], factor 1, 2, 4
// or 8.
struct PtfQuantization {
  double base = 1;  // of the overall range
  std::int32_t zero = 0;
  std::vector<int> factor;

  Quantization Of(std::size_t channel) const { return {base / 8 * factor[channel], zero}; }
};

// `range` is the overall one, `q` the integers. Each channel takes the smallest factor with the
// least squared error of quantizing `batch`, whose elements follow `layout`.
PtfQuantization EstimatePtf(RealRange range, QuantRange q, const ChannelLayout& layout,
                            std::span<const float> batch);

}  // namespace qsim
