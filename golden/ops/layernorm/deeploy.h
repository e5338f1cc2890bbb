// Deeploy's layer norm, the mean and the quotient truncated. docs/numerics.md section
// 6.7.
//
//   a = x - input_zero;  mu = trunc(sum(a) / C);  d = a - mu
//   std = floor(sqrt(floor((sum(d^2) + eps) / C) + 1))
//   y = (trunc(d * weight / std) + bias) >> log2d
//
// Source: Layernorm_s8_s8 of Deeploy's kernels (Scherer et al., TCAD 2024, arXiv:2408.04413).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "golden/ops/layernorm/eps.h"

namespace qsim::golden {

struct DeeployLayernormParams {
  static constexpr std::string_view kName = "rq_layernorm";
  std::int64_t input_zero = 0;            // -input_offset: -2^31..2^31
  std::vector<std::int64_t> bias = {};    // one per channel, |bias| <= 2^62
  std::vector<std::int32_t> weight = {};  // one per channel
  int log2d = 0;                          // 0..62
  std::int64_t eps = 0;                   // E, 0..2^62; not the kernel's
  bool wrap = false;                      // y modulo 256 as int8, as the kernel's last cast does
  bool operator==(const DeeployLayernormParams&) const = default;

  std::string Formula() const {
    return "a = (x - input_zero); mu = trunc(sum(a) / C); d = a - mu\n"
           "std = floor(sqrt(floor((sum(d^2) + eps) / C) + 1))\n"
           "norm = (trunc(d weight / std) + bias) >> log2d\n" +
           std::string(wrap ? "y = int8(norm), modulo 256" : "y = clamp(norm, qmin, qmax)");
  }

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"bias", Role::kAddend, 64, true, Axis::kChannel}, self.bias);
    v(Field{"weight", Role::kCoefficient, 32, true, Axis::kChannel}, self.weight);
    v(Field{"log2d", Role::kCoefficient, 8, false}, self.log2d);
    v(kEpsField, self.eps);
    v(Field{"wrap", Role::kCoefficient, 8, false}, self.wrap);
  }
};

struct DeeployLayernormTrace {
  std::int64_t mean = 0;
  std::int64_t std_int = 0;  // 1 .. 2^33
};

// One row of 1..65536 elements. y: before wrap or clamp. Throws std::invalid_argument where a size
// or a range is broken.
DeeployLayernormTrace LayernormDeeploy(std::span<const std::int32_t> x,
                                       const DeeployLayernormParams& params,
                                       std::span<std::int64_t> y);

}  // namespace qsim::golden
