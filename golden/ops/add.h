// The exact sum of two integer tensors. docs/numerics.md section 10.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::golden {

// out[i] = a[i] + b[i modulo its length]: a tensor of a's size, or a bias of its last axis. Throws
// std::invalid_argument where sizes disagree or a sum leaves 32 bits.
void Add(std::span<const std::int32_t> a, std::span<const std::int32_t> b,
         std::span<std::int32_t> out);

}  // namespace qsim::golden
