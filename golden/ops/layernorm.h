// Integer layer normalisation over one row, I-BERT (Kim et al., ICML 2021). docs/numerics.md
// section 6.
//
//   x'  = (x - x_zero) << input_shift[c]
//   mu  = half_even(sum(x') / C);  d = x' - mu
//   std = max(floor(sqrt(sum((d >> k)^2))) << k, 1)
//   y   = ((d * floor(2^31 / std)) >> 1) + bias[c]
//   q   = clamp(z[c] + round_shift(y * M[c], S[c]), qmin, qmax)
#pragma once

#include <cstdint>
#include <span>

#include "golden/ops/requantize.h"

namespace qsim {

// The largest |x'| and |bias| for which every intermediate is proven to fit (section 6.3): 16-bit
// inputs, 16-bit zero points and shifts of at most 8 stay within.
inline constexpr std::int64_t kMaxLayernormInput = (std::int64_t{1} << 24) - (std::int64_t{1} << 8);
inline constexpr std::int64_t kMaxLayernormBias = std::int64_t{1} << 46;

struct LayernormParams {
  std::int32_t input_zero = 0;
  std::span<const std::int32_t> input_shift = {};  // empty (0) or one per channel, 0..8
  int std_shift = 0;                               // k, 0..15
  std::span<const std::int64_t> bias = {};         // one per channel, |bias| <= kMaxLayernormBias
  std::span<const Multiplier> scale = {};   // one, or one per channel; a negative gamma has m < 0
  std::span<const std::int32_t> zero = {};  // one, or one per channel
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range = {};
};

// Optional intermediates. y is empty or as long as the row; std_int null or one value.
struct LayernormTrace {
  std::span<std::int64_t> y = {};
  std::int64_t* std_int = nullptr;
};

// x: |x'| <= kMaxLayernormInput, C = x.size() in 1..65536. Returns how many elements the clamp
// changed. Throws std::invalid_argument where a size or range is broken.
std::int64_t LayernormIbert(std::span<const std::int32_t> x, const LayernormParams& params,
                            std::span<std::int32_t> out, const LayernormTrace& trace = {});

// floor(sqrt(value)), exact for every uint64.
std::uint64_t IntegerSqrt(std::uint64_t value);

}  // namespace qsim
