#include "golden/ops/requant/tflite.h"

#include <algorithm>

#include "golden/ops/int128.h"
#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {
namespace {

constexpr std::int64_t kHighest = (std::int64_t{1} << 31) - 1;

void CheckOperands(std::int64_t v, int shift) {
  Require(v >= -kHighest - 1 && v <= kHighest + 1, "TFLite requantize: |v| must be at most 2^31");
  Require(shift >= -62 && shift <= 31, "TFLite requantize: the shift must be in -62..31");
}

}  // namespace

std::int64_t SaturatingRoundingDoublingHighMul(std::int64_t a, std::int64_t b) {
  const Int128 high = RoundShift(Int128{a} * b, 31, Rounding::kHalfUp);
  return static_cast<std::int64_t>(std::min(high, Int128{kHighest}));
}

std::int64_t RoundingDivideByPowerOfTwo(std::int64_t a, int exponent) {
  return RoundShift(a, exponent, Rounding::kHalfAway);
}

std::int64_t TfliteDoubleRounding(std::int64_t v, std::int32_t multiplier, int shift) {
  CheckOperands(v, shift);
  const std::int64_t shifted = v * (std::int64_t{1} << std::max(shift, 0));
  return RoundingDivideByPowerOfTwo(SaturatingRoundingDoublingHighMul(shifted, multiplier),
                                    std::max(-shift, 0));
}

std::int64_t TfliteSingleRounding(std::int64_t v, std::int32_t multiplier, int shift) {
  CheckOperands(v, shift);
  return static_cast<std::int64_t>(
      RoundShift(Int128{v} * multiplier, 31 - shift, Rounding::kHalfUp));
}

}  // namespace qsim::golden
