// I-BERT's layer norm: its parameters and its standard deviation. docs/numerics.md section 6.1.
//
// Source: IntLayerNorm of I-BERT (Kim et al., ICML 2021, arXiv:2101.01321).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "golden/ops/layernorm/eps.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

struct IbertLayernormParams {
  static constexpr std::string_view kName = "ibert";
  static constexpr std::string_view kFormula =
      "x' = (x - input_zero) << input_shift; mu = half_even(sum(x') / C); d = x' - mu\n"
      "std = max(floor(sqrt(sum((d >> std_shift)^2) + eps)) << std_shift, 1)\n"
      "norm = ((d floor(2^31 / std)) >> 1) + bias\n"
      "y = clamp(zero + rounding((norm multiplier) / 2^shift), qmin, qmax)";
  std::int32_t input_zero = 0;
  std::vector<std::int64_t> bias = {};         // one per channel, |bias| <= 2^62
  std::vector<std::int32_t> input_shift = {};  // empty (0) or one per channel, 0..8
  int std_shift = 0;                           // k, 0..31
  std::int64_t eps = 0;                        // E, 0..2^62
  std::vector<Multiplier> scale = {};   // one, or one per channel; a negative gamma has m < 0
  std::vector<std::int32_t> zero = {};  // one, or one per channel
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const IbertLayernormParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"bias", Role::kAddend, 64, true, Axis::kChannel}, self.bias);
    v(Field{"input_shift", Role::kCoefficient, 8, false, Axis::kChannel, true}, self.input_shift);
    v(Field{"std_shift", Role::kCoefficient, 8, false}, self.std_shift);
    v(kEpsField, self.eps);
    v(Field{"multiplier", Role::kMultiplier, 32, true, Axis::kChannel}, self.scale);
    v(Field{"zero", Role::kOutputZero, 32, true, Axis::kChannel}, self.zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
};

// max(floor(sqrt(sum((d >> k)^2) + eps)) << k, 1), the root of the sum and not of the mean.
// 1..65536 values, |d| <= 2^41; k in 0..31; eps in 0..2^62.
std::int64_t IbertStd(std::span<const std::int64_t> d, int k, std::int64_t eps);

inline constexpr std::int64_t kIbertNumerator = std::int64_t{1} << 31;

}  // namespace qsim::golden
