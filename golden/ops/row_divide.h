// Sums of rows, and the division by them: what stands behind a softmax whose probabilities are
// divided after the product. docs/numerics.md section 16.
#pragma once

#include <cstdint>
#include <span>

#include "golden/ops/gemm.h"
#include "golden/ops/requant/scheme.h"

namespace qsim::golden {

// Equation 16.1: the sum of each row of `width` elements. In shift mode a code c counts as
// 2^(15 - c), 16 as 0. Throws std::invalid_argument where sizes disagree or a sum leaves 32 bits.
void RowSum(std::span<const std::int32_t> in, std::int64_t width, OperandMode mode,
            std::span<std::int32_t> out);

inline constexpr int kMaxFractionBits = 29;

// Equation 16.2: what multiplies a row by 2^fraction_bits / divisor: r / 2^n, with r in
// 2^fraction_bits .. 2^(fraction_bits + 1) and n in 0..31. A divisor below 1 counts as 1: it is a
// row without any element. fraction_bits in 1..29.
Multiplier RowReciprocal(std::int32_t divisor, int fraction_bits, Rounding rounding);

}  // namespace qsim::golden
