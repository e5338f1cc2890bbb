// TensorFlow Lite's int8 softmax. docs/numerics.md section 5.8.
//
// Source: the fixed-point Softmax of TensorFlow Lite's reference kernels over gemmlowp's
// exp_on_negative_values and one_over_one_plus_x_for_x_in_0_1; arm_softmax_s8 and
// arm_softmax_s8_s16 of CMSIS-NN are the same.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// (5.30), gemmlowp's exp_on_negative_values: exp(a / 2^26) in Q0.31, 0 .. 2^31 - 1. a <= 0; the
// source has int32, and wider arguments continue it (bits of weight 2^5 and more of -a / 2^26 are
// ignored).
std::int64_t TfliteExp(std::int64_t a);

// (5.31), gemmlowp's one_over_one_plus_x_for_x_in_0_1: 1 / (1 + a / 2^31) in Q0.31, about 2^30 ..
// 2^31 - 1. a in 0 .. 2^31 - 1. Both throw std::invalid_argument beyond their domains.
std::int64_t TfliteReciprocal(std::int64_t a);

// As TensorFlow Lite derives them from beta times the score scale s: beta s 2^26 =
// beta_multiplier / 2^31 * 2^beta_left_shift, and diff_min = -floor(31 * 2^(26 - beta_left_shift)).
struct TfliteSoftmaxParams {
  static constexpr std::string_view kName = "tflite";
  static constexpr std::string_view kExponential =
      "e = EXP(H((x - rowmax) << beta_left_shift, beta_multiplier)) where x - rowmax >= diff_min, "
      "else 0";
  static constexpr std::string_view kLargest = "2^31 - 1";
  static constexpr std::string_view kFormula =
      "S = sum(P(e, 12)); h = leading zeros\n"
      "y = clamp(qmin + P(H(RECIP(S), e), 43 - output_bits - h), qmin, qmax)";
  std::int32_t beta_multiplier = 1 << 30;  // 0 .. 2^31 - 1
  int beta_left_shift = 0;                 // 0..31
  std::int32_t diff_min = 0;  // at most 0; below rowmax + diff_min the output is its lowest
  int output_bits = 8;        // 8 or 16
  bool operator==(const TfliteSoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"beta_multiplier", Role::kCoefficient, 32, true, Axis::kHead}, self.beta_multiplier);
    v(Field{"beta_left_shift", Role::kCoefficient, 8, false, Axis::kHead}, self.beta_left_shift);
    v(Field{"diff_min", Role::kCoefficient, 32, true, Axis::kHead}, self.diff_min);
    v(Field{"output_bits", Role::kCoefficient, 8, false, Axis::kHead}, self.output_bits);
  }
};

// e of equation 5.26, 0 below diff_min. distance >= 0.
std::int64_t TfliteSoftmaxExp(const TfliteSoftmaxParams& params, std::int64_t distance);

// Throws std::invalid_argument where a parameter is out of its range.
void CheckTfliteSoftmax(const TfliteSoftmaxParams& params);

// Output codes: all of int8 or int16; scale 2^-output_bits, and the lowest code stands for 0.
QuantRange TfliteSoftmaxRange(const TfliteSoftmaxParams& params);

// The longest row whose sum of exponentials, at most 2^19 each, is proven to stay below 2^32.
inline constexpr std::int64_t kMaxTfliteSoftmaxRow = 8191;

// One row, 1..kMaxTfliteSoftmaxRow scores of any width up to 32 bits. Returns how many elements the
// output's range clamped. Parameters must have passed CheckTfliteSoftmax. The source is undefined
// where the sum reaches 2^28 (8 bits): its last shift passes 31 bits. Here the shift is exact.
std::int64_t TfliteSoftmax(std::span<const std::int32_t> scores, const TfliteSoftmaxParams& params,
                           std::span<std::int32_t> out);

}  // namespace qsim::golden
