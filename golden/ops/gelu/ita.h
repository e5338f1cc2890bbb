// ITA's GELU. docs/numerics.md section 7.4.
//
//   q = max(x, -127)
//   y = q * (sign(q) * ((min(|q|, -q_b) + q_b)^2 + q_c) + q_1)
//   y8 = clamp(floor(y * eps_mul / 2^eps_shift + eps_add + 1/2 + 2^-23), -128, 127)
//
// The last line is ItaRequantize of golden/ops/requant/ita.h. Source: i_gelu and i_gelu_requantized
// of PyITA/gelu.py (Islamoglu et al., ISLPED 2023, arXiv:2307.03493), I-BERT's polynomial without
// its inner shift.
#pragma once

#include <cstdint>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// For an input scale s, with a = -0.2888 and t = s / sqrt(2): q_b near -1.769 / t, q_c and q_1 near
// 1 / (a t^2).
struct GeluItaParams {
  static constexpr std::string_view kName = "ita";
  static constexpr std::string_view kFormula =
      "a = x\n"
      "g = a (sign(a) ((min(|a|, -q_b) + q_b)^2 + q_c) + q_1), a at least -127\n"
      "y = clamp(zero + floor(g multiplier / 2^shift + 1/2 + 2^-23), qmin, qmax)";
  std::int64_t q_1 = -1;  // -2^62..2^62
  std::int64_t q_b = -1;  // -2^31..-1
  std::int64_t q_c = -1;  // -2^62..2^62
  // eps_mul and eps_shift; where y's real scale is negative, so is M.
  Multiplier scale = {};
  std::int32_t zero = 0;  // eps_add
  bool operator==(const GeluItaParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, Fixed<0>{});
    v(Field{"q_1", Role::kCoefficient, 64, true}, self.q_1);
    v(Field{"q_b", Role::kCoefficient, 64, true}, self.q_b);
    v(Field{"q_c", Role::kCoefficient, 64, true}, self.q_c);
    v(Field{"multiplier", Role::kMultiplier}, self.scale);
    v(Field{"zero", Role::kOutputZero}, self.zero);
    v(Field{"rounding", Role::kChoice}, Fixed<Rounding::kHalfUp>{});
  }
};

// Throws std::invalid_argument where a parameter is out of its range.
void CheckGeluIta(const GeluItaParams& params);

// y of one element, |x| <= 2^32: below 2^96 in magnitude. Parameters must have passed CheckGeluIta.
Int128 GeluIta(std::int64_t x, const GeluItaParams& params);

}  // namespace qsim::golden
