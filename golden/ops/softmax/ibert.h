// I-BERT's softmax after the exponential, as published and with a rounded last step.
// docs/numerics.md sections 5.2 and 5.3.
//
// Source: IntSoftmax of I-BERT (Kim et al., ICML 2021, arXiv:2101.01321).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "golden/ops/softmax/ibert_exp.h"

namespace qsim::golden {

// exp16 = clamp(half_even(exp * act16_multiplier / 2^act16_shift), -32768, 32767): together they
// turn c << n, the exponential of every row's maximum, into at least 1.
struct IbertSoftmaxParams {
  static constexpr std::string_view kName = "ibert";
  static constexpr std::string_view kExponential =
      "d = max(x - rowmax, n x0); q = floor(d / x0); r = d - q x0\n"
      "e = max(0, (r (r + b) + c) << (n - q))\n"
      "e16 = clamp(half_even(e act16_multiplier / 2^act16_shift), -32768, 32767)";
  static constexpr std::string_view kExponentialName = "e16";
  static constexpr std::string_view kLargest =
      "min(half_even(c 2^n act16_multiplier / 2^act16_shift), 32767)";
  static constexpr std::string_view kFormula =
      "y = floor(e16 floor(2^32 / sum(e16)) / 2^24), at most 255";
  IbertExp exp = {};
  std::int64_t act16_multiplier = 0;  // 1 .. 2^31 - 1
  int act16_shift = 0;                // 0..126
  bool operator==(const IbertSoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"exp", Role::kGroup}, self.exp);
    v(Field{"act16_multiplier", Role::kCoefficient, 32, true, Axis::kHead}, self.act16_multiplier);
    v(Field{"act16_shift", Role::kCoefficient, 8, false, Axis::kHead}, self.act16_shift);
    v(Field{"extra_bits", Role::kCoefficient, 8, false, Axis::kHead}, Fixed<0>{});
    v(Field{"code_bits", Role::kCoefficient, 8, false, Axis::kHead}, Fixed<4>{});
  }
};

// The same with the last shift rounded half up, and an output scale of one's choice.
struct IbertRnSoftmaxParams {
  static constexpr std::string_view kName = "ibert_rn";
  static constexpr std::string_view kExponential =
      "d = max(x - rowmax, n x0); q = floor(d / x0); r = d - q x0\n"
      "e = max(0, (r (r + b) + c) << (n - q))\n"
      "e16 = clamp(half_even(e act16_multiplier / 2^act16_shift), -32768, 32767)";
  static constexpr std::string_view kExponentialName = "e16";
  static constexpr std::string_view kLargest =
      "min(half_even(c 2^n act16_multiplier / 2^act16_shift), 32767)";
  static constexpr std::string_view kFormula =
      "y = half_up(e16 floor(2^32 / sum(e16)) / 2^(24 - extra_bits)), at most 255";
  IbertExp exp = {};
  std::int64_t act16_multiplier = 0;
  int act16_shift = 0;
  int extra_bits = 0;  // output scale 2^-(8 + extra_bits), 0..7
  bool operator==(const IbertRnSoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"exp", Role::kGroup}, self.exp);
    v(Field{"act16_multiplier", Role::kCoefficient, 32, true, Axis::kHead}, self.act16_multiplier);
    v(Field{"act16_shift", Role::kCoefficient, 8, false, Axis::kHead}, self.act16_shift);
    v(Field{"extra_bits", Role::kCoefficient, 8, false, Axis::kHead}, self.extra_bits);
    v(Field{"code_bits", Role::kCoefficient, 8, false, Axis::kHead}, Fixed<4>{});
  }
};

// Throws std::invalid_argument where a parameter is out of its range, or where exp16 of every row's
// maximum, c << n, would be 0.
void CheckIbertSoftmax(const IbertSoftmaxParams& params);
void CheckIbertSoftmax(const IbertRnSoftmaxParams& params);

// Equations 5.2 to 5.6: the exponential of a distance to the row's maximum, distance >= 0.
std::int32_t IbertExp16(const IbertSoftmaxParams& params, std::int64_t distance);
std::int32_t IbertExp16(const IbertRnSoftmaxParams& params, std::int64_t distance);

// One row, 1..65536 scores. out: 0..255, scale 2^-8, or 2^-(8 + extra_bits) of ibert_rn. exp_int,
// exp16: the intermediates, empty or as long as the row. Returns how many elements saturated at
// 255. Parameters must have passed CheckIbertSoftmax.
std::int64_t IbertSoftmax(std::span<const std::int32_t> scores, const IbertSoftmaxParams& params,
                          std::span<std::int32_t> out, std::span<std::int64_t> exp_int,
                          std::span<std::int32_t> exp16);
std::int64_t IbertSoftmax(std::span<const std::int32_t> scores, const IbertRnSoftmaxParams& params,
                          std::span<std::int32_t> out, std::span<std::int64_t> exp_int,
                          std::span<std::int32_t> exp16);

}  // namespace qsim::golden
