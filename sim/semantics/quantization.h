// From the range a tensor's integers should cover to a scale and a zero point.
#pragma once

#include <cstdint>

#include "golden/ops/requantize.h"
#include "sim/bundle/grid.h"
#include "sim/config/section.h"

namespace qsim::semantics {

// The real range a tensor's integers should cover. Always contains 0, so that 0 has a code.
struct RealRange {
  double min = 0;
  double max = 0;
  bool constant_zero() const { return min == 0 && max == 0; }
};

// Scales are at least this, as in FQ-ViT's observers.
inline constexpr double kMinScale = 1.0 / (1 << 23);

// The integers of a section: signed [-2^(n-1), 2^(n-1)-1] or unsigned [0, 2^n-1].
QuantRange RangeOf(const Section& section);

// Symmetric, signed:   s = max|x| / ((qmax - qmin) / 2), z = 0: the largest value saturates by
// design. Symmetric, unsigned: s = max / qmax, z = 0: negative values clip to 0. With a zero point:
// s = (max - min) / (qmax - qmin), z = clamp(qmin - half_even(min / s), qmin, qmax).
Quantization QuantizationOf(RealRange range, QuantRange q, bool has_zero_point);

// A zero point for a scale that was chosen otherwise (power-of-two mode, snapped score scales).
std::int32_t ZeroPointFor(RealRange range, double scale, QuantRange q, bool has_zero_point);

}  // namespace qsim::semantics
