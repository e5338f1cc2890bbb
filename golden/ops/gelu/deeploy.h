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

#include "golden/ops/int128.h"

namespace qsim {

struct GeluDeeployParams {
  std::int64_t b = -1;   // -2^31..-1
  std::int64_t one = 1;  // -2^62..2^62
  bool operator==(const GeluDeeployParams&) const = default;
};

// Throws std::invalid_argument where a parameter is out of its range.
void CheckGeluDeeploy(const GeluDeeployParams& params);

// y of one element, |a| <= 2^32: below 2^96 in magnitude. Parameters must have passed
// CheckGeluDeeploy.
Int128 GeluDeeploy(std::int64_t a, const GeluDeeployParams& params);

}  // namespace qsim
