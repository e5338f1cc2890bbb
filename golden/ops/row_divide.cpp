#include "golden/ops/row_divide.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

void RowSum(std::span<const std::int32_t> in, std::int64_t width, OperandMode mode,
            std::span<std::int32_t> out) {
  constexpr std::int32_t kZeroCode = 16;
  Require(width >= 1 && in.size() == out.size() * static_cast<std::size_t>(width),
          "RowSum: in must be as many rows as out has elements");
  for (std::size_t row = 0; row < out.size(); ++row) {
    std::int64_t sum = 0;
    for (const std::int32_t x :
         in.subspan(row * static_cast<std::size_t>(width), static_cast<std::size_t>(width))) {
      Require(mode == OperandMode::kMultiply || (x >= 0 && x <= kZeroCode),
              "RowSum: shift mode needs codes 0..16");
      sum += mode == OperandMode::kMultiply ? x : x == kZeroCode ? 0 : 1 << (kZeroCode - 1 - x);
    }
    Require(sum >= INT32_MIN && sum <= INT32_MAX, "RowSum: a sum leaves 32 bits");
    out[row] = static_cast<std::int32_t>(sum);
  }
}

Multiplier RowReciprocal(std::int32_t divisor, int fraction_bits, Rounding rounding) {
  Require(fraction_bits >= 1 && fraction_bits <= kMaxFractionBits,
          "RowReciprocal: fraction_bits must be in 1..29");
  const std::int32_t d = std::max(divisor, 1);
  const auto n = static_cast<int>(std::bit_width(static_cast<std::uint32_t>(d - 1)));  // 2^n >= d
  const std::int64_t r = RoundDivide(std::int64_t{1} << (n + fraction_bits), d, rounding);
  return {static_cast<std::int32_t>(r), n};
}

}  // namespace qsim::golden
