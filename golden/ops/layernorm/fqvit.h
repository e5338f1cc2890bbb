// The integer part of FQ-ViT's layer norm with power-of-two factors. docs/numerics.md section 6.8.
//
//   z = x_q * scale_mask;  y = half_even((M * z + B) / 2^N)
//
// M, N and B depend on the row through a square root in real arithmetic, so they are inputs here,
// one of each per element; sim/conform/fqvit_parameters.h derives them exactly. Source:
// QIntLayerNorm of FQ-ViT (Lin et al., IJCAI 2022, arXiv:2111.13824).
#pragma once

#include <cstdint>
#include <span>

namespace qsim::golden {

// One row. x_q: zero point removed. scale_mask: one per channel, 1..2^20. m: -255..255. n: 0..31.
// |b| <= 2^62. out: not clamped, below 2^63. Throws std::invalid_argument where a size or a range
// is broken.
void LayernormFqvit(std::span<const std::int32_t> x_q, std::span<const std::int32_t> scale_mask,
                    std::span<const std::int32_t> m, std::span<const std::int32_t> n,
                    std::span<const std::int64_t> b, std::span<std::int64_t> out);

}  // namespace qsim::golden
