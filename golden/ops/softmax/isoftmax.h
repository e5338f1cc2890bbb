// Deeploy's integer softmax by a second-degree polynomial. docs/numerics.md section 5.7.
//
// Source: Softmax_s8_s8 and Softmax_s8_u8 of Deeploy (Scherer et al., TCAD 2024,
// arXiv:2408.04413), after I-BERT.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// exp(p) ~ coeff_a (p + coeff_b)^2 + coeff_c on (-log2, 0], log2 = ln 2 in steps of the scores.
// Legal: 0 <= coeff_a < 2^31, |coeff_b| < 2^31, 0 <= coeff_c <= 2^62, log2 >= 1,
// 2 <= levels <= 65536, |output_offset| <= 65536, coeff_a coeff_b^2 + coeff_c >= 1.
struct IsoftmaxParams {
  static constexpr std::string_view kName = "deeploy_isoftmax";
  static constexpr std::string_view kExponential =
      "d = x - rowmax; z = clamp(trunc(-d / log2), 0, 31); p = d + z log2\n"
      "e = (coeff_a (p + coeff_b)^2 + coeff_c) >> z";
  static constexpr std::string_view kLargest = "coeff_a coeff_b^2 + coeff_c";
  static constexpr std::string_view kFormula = "y = floor(e (levels - 1) / sum(e)) + output_offset";
  std::int32_t coeff_a = 0;
  std::int32_t coeff_b = 0;
  std::int64_t coeff_c = 1;
  std::int32_t log2 = 1;
  std::int32_t levels = 256;
  std::int32_t output_offset = 0;
  bool operator==(const IsoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"coeff_a", Role::kCoefficient, 32, true, Axis::kHead}, self.coeff_a);
    v(Field{"coeff_b", Role::kCoefficient, 32, true, Axis::kHead}, self.coeff_b);
    v(Field{"coeff_c", Role::kCoefficient, 64, true, Axis::kHead}, self.coeff_c);
    v(Field{"log2", Role::kCoefficient, 32, true, Axis::kHead}, self.log2);
    v(Field{"levels", Role::kCoefficient, 32, false, Axis::kHead}, self.levels);
    v(Field{"output_offset", Role::kCoefficient, 32, true, Axis::kHead}, self.output_offset);
  }
};

// Equations 5.23 and 5.24, below 2^98. distance >= 0.
Int128 IsoftmaxExp(const IsoftmaxParams& params, std::int64_t distance);

// Throws std::invalid_argument where a parameter is out of its range.
void CheckIsoftmax(const IsoftmaxParams& params);

// Output codes: output_offset .. output_offset + levels - 1; scale 1 / (levels - 1).
QuantRange IsoftmaxRange(const IsoftmaxParams& params);

// One row, 1..65536 scores of any width up to 32 bits. Parameters must have passed CheckIsoftmax.
void Isoftmax(std::span<const std::int32_t> scores, const IsoftmaxParams& params,
              std::span<std::int32_t> out);

}  // namespace qsim::golden
