// Deeploy's GELU. docs/numerics.md section 7.5.
//
//   a = x + input_offset;  d = min(|a|, -b) + b
//   y = a * ((one + sign(a) * (one - d^2)) >> 1)
//   y8 = clamp(half_up((y * mul + add) / 2^shift) + output_offset, -128, 127)
//
// Source: GELU_s8.c and RQGELU_s8.c of Deeploy's generic kernels (Scherer et al., TCAD 2024,
// arXiv:2408.04413).
#pragma once

#include <cstdint>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

struct GeluDeeployParams {
  static constexpr std::string_view kName = "deeploy";
  static constexpr std::string_view kFormula =
      "a = (x - input_zero)\n"
      "d = min(|a|, -b) + b\n"
      "g = a ((one + sign(a) (one - d^2)) >> 1)\n"
      "y = clamp(zero + rounding((g multiplier + addend) / 2^shift), qmin, qmax)";
  std::int64_t b = -1;          // -2^31..-1
  std::int64_t one = 1;         // -2^62..2^62
  std::int32_t input_zero = 0;  // -input_offset
  Multiplier scale = {};
  std::int64_t addend = 0;  // add, before the shift; at most 2^62 in magnitude
  std::int32_t zero = 0;    // output_offset
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const GeluDeeployParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"b", Role::kCoefficient, 64, true}, self.b);
    v(Field{"one", Role::kCoefficient, 64, true}, self.one);
    v(Field{"addend", Role::kAddend, 64}, self.addend);
    v(Field{"multiplier", Role::kMultiplier}, self.scale);
    v(Field{"zero", Role::kOutputZero}, self.zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
};

// Throws std::invalid_argument where a parameter is out of its range.
void CheckGeluDeeploy(const GeluDeeployParams& params);

// y of one element, |a| <= 2^32: below 2^96 in magnitude. Parameters must have passed
// CheckGeluDeeploy.
Int128 GeluDeeploy(std::int64_t a, const GeluDeeployParams& params);

}  // namespace qsim::golden
