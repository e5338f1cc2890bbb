#include "golden/ops/requant/ita.h"

#include <algorithm>

#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {

Int128 ItaRequantize(std::int64_t v, std::int32_t multiplier, int shift) {
  Require(shift >= 0 && shift <= 255, "ITA requantize: the shift must be in 0..255");
  // |v * multiplier| <= 2^94: from 96 on, every shift gives floor(1/2 + less than 1/2) = 0.
  const int right = std::min(shift, 96);
  // Counted in units of 2^-23, or of 2^-shift where that is finer.
  const int unit = std::max(right, 23);
  const Int128 half = Int128{1} << (unit - 1);
  const Int128 nudge = Int128{1} << (unit - 23);
  const Int128 quotient = Int128{v} * multiplier * (Int128{1} << (unit - right));
  return (quotient + half + nudge) >> unit;
}

std::int64_t ItaRtlRequantize(std::int64_t v, std::int32_t multiplier, int shift) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 31;
  Require(v >= -kLimit && v <= kLimit, "ITA requantizer: |v| must be at most 2^31");
  return RoundShift(v * multiplier, shift, Rounding::kHalfUp);
}

}  // namespace qsim::golden
