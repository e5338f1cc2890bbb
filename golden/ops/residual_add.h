// Residual add with one rounding. docs/numerics.md section 8.
//
//   y = clamp(z + round_shift((a - a_zero) * M_a[c] + (b - b_zero) * M_b[c], S), qmin, qmax)
//
// a is a linear layer's accumulator (or its int8 output), b the residual stream. One shift S for
// both.
#pragma once

#include <cstdint>
#include <span>

#include "golden/ops/requantize.h"

namespace qsim::golden {

struct ResidualAddParams {
  ChannelLayout layout = {};
  std::span<const std::int32_t> a_multiplier = {};  // one, or one per channel; magnitude below 2^31
  std::span<const std::int32_t> b_multiplier = {};  // one, or one per channel; magnitude below 2^31
  int shift = 0;                                    // 0..62
  std::int32_t a_zero = 0;
  std::int32_t b_zero = 0;  // b is at most 16 bits wide, so |b - b_zero| < 2^17
  std::int32_t out_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range = {};
};

// a, b and out hold layout.size() elements. Returns how many elements the clamp changed.
std::int64_t ResidualAdd(std::span<const std::int32_t> a, std::span<const std::int32_t> b,
                         const ResidualAddParams& params, std::span<std::int32_t> out);

}  // namespace qsim::golden
