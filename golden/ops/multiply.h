// The exact product of two integer tensors, element by element. docs/numerics.md section 13.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::golden {

// out[i] = (a[i] - a_zero) (b[i / n] - b_zero): each of b serves n = a.size() / b.size() of a, side
// by side. Throws std::invalid_argument where sizes disagree or a product leaves 32 bits.
void Multiply(std::span<const std::int32_t> a, std::int32_t a_zero, std::span<const std::int32_t> b,
              std::int32_t b_zero, std::span<std::int32_t> out);

}  // namespace qsim::golden
