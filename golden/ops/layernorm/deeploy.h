// Deeploy's layer norm, the mean and the quotient truncated. docs/numerics.md section
// 6.7.
//
//   a = x + input_offset;  mu = trunc(sum(a) / C);  d = a - mu
//   std = floor(sqrt(floor(sum(d^2) / C) + 1))
//   y = (trunc(d * weight / std) + bias) >> log2d
//
// Source: Layernorm_s8_s8 of Deeploy's kernels (Scherer et al., TCAD 2024, arXiv:2408.04413).
#pragma once

#include <cstdint>
#include <span>

namespace qsim {

struct DeeployLayernormParams {
  std::int64_t input_offset = 0;              // -2^31..2^31
  std::span<const std::int32_t> weight = {};  // one per channel
  std::span<const std::int64_t> bias = {};    // one per channel, |bias| <= 2^62
  int log2d = 0;                              // 0..62
  bool wrap = true;  // y modulo 256 as int8, as the kernel's last cast does
};

struct DeeployLayernormTrace {
  std::int64_t mean = 0;
  std::int64_t std_int = 0;  // 1 .. 2^32
};

// One row of 1..65536 elements. y: before wrap or clamp. Throws std::invalid_argument where a size
// or a range is broken.
DeeployLayernormTrace LayernormDeeploy(std::span<const std::int32_t> x,
                                       const DeeployLayernormParams& params,
                                       std::span<std::int64_t> y);

}  // namespace qsim
