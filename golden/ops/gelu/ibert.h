// I-BERT's GELU. docs/numerics.md section 7.2.
//
//   erf_int = (sign(x) * ((min(|x|, -b) + b)^2 + c)) >> n
//   y       = x * (erf_int + shift_int)
//
// Source: IntGELU of I-BERT (Kim et al., ICML 2021, arXiv:2101.01321).
#pragma once

#include <cstdint>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// The polynomial's constants for an input scale s, with t = s / 1.4142:
//   b = floor(-1.769 / t), c = floor(-3.46260.. / t^2), shift_int = floor(1 / (-0.2888 t^2 2^n)).
struct GeluIbertParams {
  static constexpr std::string_view kName = "ibert";
  static constexpr std::string_view kFormula =
      "a = (x - input_zero)\n"
      "erf = (sign(a) ((min(|a|, -b) + b)^2 + c)) >> n\n"
      "g = a (erf + shift_int)\n"
      "y = clamp(zero + rounding((g multiplier) / 2^shift), qmin, qmax)";
  std::int64_t b = -1;          // -2^31..-1
  std::int64_t c = -1;          // -2^62..-1
  std::int64_t shift_int = -1;  // -2^62..-1
  int n = 14;  // 0..30; 14 in the publication, for inputs of about 16 bits and more
  std::int32_t input_zero = 0;
  Multiplier scale = {};  // where y's real scale is negative, so is M
  std::int32_t zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const GeluIbertParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"b", Role::kCoefficient, 64, true}, self.b);
    v(Field{"c", Role::kCoefficient, 64, true}, self.c);
    v(Field{"shift_int", Role::kCoefficient, 64, true}, self.shift_int);
    v(Field{"n", Role::kCoefficient, 8, false}, self.n);
    v(Field{"multiplier", Role::kMultiplier}, self.scale);
    v(Field{"zero", Role::kOutputZero}, self.zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
};

// Throws std::invalid_argument where a parameter is out of its range.
void CheckGeluIbert(const GeluIbertParams& params);

struct GeluIbertValue {
  Int128 erf_int = 0;  // below 2^63 in magnitude
  Int128 y = 0;        // below 2^96 in magnitude
};

// One element, |x| <= 2^32. Parameters must have passed CheckGeluIbert.
GeluIbertValue GeluIbert(std::int64_t x, const GeluIbertParams& params);

}  // namespace qsim::golden
