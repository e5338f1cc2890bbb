// I-ViT's layer norm: its parameters and its standard deviation. docs/numerics.md section 6.6.
//
// Source: IntLayerNorm of I-ViT (Li and Gu, ICCV 2023, arXiv:2207.01405).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "golden/ops/layernorm/eps.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// Those of I-BERT; its root takes no shift.
struct IvitLayernormParams {
  static constexpr std::string_view kName = "ivit";
  static constexpr std::string_view kFormula =
      "x' = (x - input_zero) << input_shift; mu = half_even(sum(x') / C); d = x' - mu\n"
      "std = ten Newton steps for sqrt(sum(d^2) + eps), from 2^16\n"
      "norm = ((d floor((2^31 - 1) / std)) >> 1) + bias\n"
      "y = clamp(zero + rounding((norm multiplier) / 2^shift), qmin, qmax)";
  std::int32_t input_zero = 0;
  std::vector<std::int64_t> bias = {};         // one per channel, |bias| <= 2^62
  std::vector<std::int32_t> input_shift = {};  // empty (0) or one per channel, 0..8
  std::int64_t eps = 0;                        // E, 0..2^62
  std::vector<Multiplier> scale = {};   // one, or one per channel; a negative gamma has m < 0
  std::vector<std::int32_t> zero = {};  // one, or one per channel
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const IvitLayernormParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"bias", Role::kAddend, 64, true, Axis::kChannel}, self.bias);
    v(Field{"input_shift", Role::kCoefficient, 8, false, Axis::kChannel, true}, self.input_shift);
    v(Field{"std_shift", Role::kCoefficient, 8, false}, Fixed<0>{});
    v(kEpsField, self.eps);
    v(Field{"multiplier", Role::kMultiplier, 32, true, Axis::kChannel}, self.scale);
    v(Field{"zero", Role::kOutputZero, 32, true, Axis::kChannel}, self.zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
};

// Ten steps of Newton's method for sqrt(sum(d^2) + eps) from 2^16, each floored: at least 64, at
// least the floor of the root, and larger than it where ten steps do not converge. 1..65536 values,
// |d| <= 2^41; eps in 0..2^62. Throws std::invalid_argument where the result leaves 63 bits, for
// which the sum has to pass 2^88.
std::int64_t IvitStd(std::span<const std::int64_t> d, std::int64_t eps);

inline constexpr std::int64_t kIvitNumerator = (std::int64_t{1} << 31) - 1;

}  // namespace qsim::golden
