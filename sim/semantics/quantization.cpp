#include "sim/semantics/quantization.h"

#include <algorithm>
#include <cmath>

namespace qsim::semantics {

QuantRange RangeOf(const Section& section) {
  if (section.is_signed) {
    const std::int32_t half = 1 << (section.bits - 1);
    return {-half, half - 1};
  }
  return {0, (1 << section.bits) - 1};
}

std::int32_t ZeroPointFor(RealRange range, double scale, QuantRange q, bool has_zero_point) {
  if (!has_zero_point) return 0;
  const double zero = static_cast<double>(q.qmin) - std::nearbyint(range.min / scale);
  return static_cast<std::int32_t>(
      std::clamp(zero, static_cast<double>(q.qmin), static_cast<double>(q.qmax)));
}

Quantization QuantizationOf(RealRange range, QuantRange q, bool has_zero_point) {
  const double steps = static_cast<double>(q.qmax) - static_cast<double>(q.qmin);
  double scale = 0;
  if (has_zero_point) {
    scale = (range.max - range.min) / steps;
  } else if (q.qmin < 0) {
    scale = std::max(-range.min, range.max) / (steps / 2);
  } else {
    scale = range.max / static_cast<double>(q.qmax);
  }
  scale = std::max(scale, kMinScale);
  return {scale, ZeroPointFor(range, scale, q, has_zero_point)};
}

}  // namespace qsim::semantics
