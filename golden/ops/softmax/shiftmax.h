// I-ViT's Shiftmax. docs/numerics.md section 5.5.
//
// Source: IntSoftmax of I-ViT (Li and Gu, ICCV 2023, arXiv:2207.01405).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// Legal: x0 <= -1, 0 <= n <= 30, 1 <= output_bits <= 16, |x0| 2^n < 2^(63 - output_bits).
struct ShiftmaxParams {
  static constexpr std::string_view kName = "shiftmax";
  static constexpr std::string_view kExponential =
      "d = x - rowmax; d = d + (d >> 1) - (d >> 4)\n"
      "d = max(d, n x0); q = floor(d / x0); r = d - q x0\n"
      "e = max(0, ((r - 2 x0) << (n - q)) >> 1)";
  static constexpr std::string_view kLargest = "-x0 2^n";
  static constexpr std::string_view kFormula =
      "y = (e floor((2^31 - 1) / min(sum(e), 2^31 - 1))) >> (32 - output_bits)";
  std::int32_t x0 = -1;  // floor(-1 / s), s the score scale
  int n = 15;
  int output_bits = 8;
  bool operator==(const ShiftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"x0", Role::kCoefficient, 32, true, Axis::kHead}, self.x0);
    v(Field{"n", Role::kCoefficient, 8, false, Axis::kHead}, self.n);
    v(Field{"output_bits", Role::kCoefficient, 8, false, Axis::kHead}, self.output_bits);
  }
};

// Throws std::invalid_argument where a parameter is out of its range.
void CheckShiftmax(const ShiftmaxParams& params);

// The codes that the output may hold: 0 .. 2^(output_bits - 1) - 1 while |x0| 2^n < 2^31, the
// maximum's exponential, fits the clamp of the sum; beyond, up to that exponential >> (32 -
// output_bits). Scale 2^-(output_bits - 1) in the first case.
QuantRange ShiftmaxRange(const ShiftmaxParams& params);

// One row, 1..65536 scores. exp_int: empty or as long as the row. Parameters must have passed
// CheckShiftmax.
void Shiftmax(std::span<const std::int32_t> scores, const ShiftmaxParams& params,
              std::span<std::int32_t> out, std::span<std::int64_t> exp_int);

}  // namespace qsim::golden
