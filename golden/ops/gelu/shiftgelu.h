// I-ViT's ShiftGELU, x * sigmoid(1.702 x) over a row. docs/numerics.md section 7.6.
//
//   mx = rowmax;  e = EXP(x - mx);  S = min(e + EXP(-mx), 2^31 - 1)
//   sigmoid_int = (e * floor((2^31 - 1) / S)) >> (32 - output_bits)
//   y = x * sigmoid_int
//
// EXP is ShiftExp of golden/ops/softmax/shift_exp.h. Source: IntGELU of I-ViT (Li and Gu, ICCV
// 2023, arXiv:2207.01405).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// For an input scale s: x0 = floor(-1 / (1.702 s)).
struct ShiftGeluParams {
  static constexpr std::string_view kName = "shiftgelu";
  static constexpr std::string_view kFormula =
      "a = (x - input_zero)\n"
      "mx = rowmax; e = EXP(a - mx); s = min(e + EXP(-mx), 2^31 - 1)\n"
      "g = a ((e floor((2^31 - 1) / s)) >> (32 - output_bits)); EXP of shiftmax by x0 and n\n"
      "y = clamp(zero + rounding((g multiplier) / 2^shift), qmin, qmax)";
  std::int32_t x0 = -1;  // -2^31..-1
  int n = 23;            // 0..30
  int output_bits = 8;   // 1..32
  std::int32_t input_zero = 0;
  Multiplier scale = {};
  std::int32_t zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const ShiftGeluParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"x0", Role::kCoefficient, 32, true}, self.x0);
    v(Field{"n", Role::kCoefficient, 8, false}, self.n);
    v(Field{"output_bits", Role::kCoefficient, 8, false}, self.output_bits);
    v(Field{"multiplier", Role::kMultiplier}, self.scale);
    v(Field{"zero", Role::kOutputZero}, self.zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
};

// Throws std::invalid_argument where a parameter is out of its range.
void CheckShiftGelu(const ShiftGeluParams& params);

// One row of |x| <= 2^32, at least one: sigmoid_int, in 0 .. max(2^31 - 1, |x0| 2^n) >> (32 -
// output_bits). Parameters must have passed CheckShiftGelu.
void ShiftGeluSigmoid(std::span<const std::int64_t> x, const ShiftGeluParams& params,
                      std::span<std::int64_t> sigmoid_int);

}  // namespace qsim::golden
