// TensorFlow Lite's two requantizers. docs/numerics.md sections 4.6 and 4.7.
//
//   double rounding  y = P(H(v << max(s, 0), m), max(-s, 0))
//   single rounding  y = half_up(v * m / 2^(31 - s))
//
// Source: MultiplyByQuantizedMultiplier of TensorFlow Lite, by default over gemmlowp's fixed-point
// functions (Jacob et al., CVPR 2018, arXiv:1712.05877), with TFLITE_SINGLE_ROUNDING as one
// rounding; arm_nn_requantize of CMSIS-NN is the same, both ways.
#pragma once

#include <cstdint>

namespace qsim::golden {

// "H" (4.5): min(half_up(a * b / 2^31), 2^31 - 1). gemmlowp saturates only at a = b = -2^31; here
// wider operands, which the source's int32 cannot hold, saturate upward too. |a * b| <= 2^93.
std::int64_t SaturatingRoundingDoublingHighMul(std::int64_t a, std::int64_t b);

// "P" (4.6): half_away(a / 2^exponent). exponent in 0..62.
std::int64_t RoundingDivideByPowerOfTwo(std::int64_t a, int exponent);

// v * multiplier / 2^(31 - shift): shift > 0 is a left shift. |v| <= 2^31, shift in -62..31; the
// source has int32 v and shift in -31..30, and is undefined where v << shift leaves int32: here
// that product is exact. Both throw std::invalid_argument beyond these ranges.
std::int64_t TfliteDoubleRounding(std::int64_t v, std::int32_t multiplier, int shift);
std::int64_t TfliteSingleRounding(std::int64_t v, std::int32_t multiplier, int shift);

}  // namespace qsim::golden
