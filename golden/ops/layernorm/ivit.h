// The standard deviation of I-ViT's layer norm. docs/numerics.md section 6.6.
//
// Source: IntLayerNorm of I-ViT (Li and Gu, ICCV 2023, arXiv:2207.01405).
#pragma once

#include <cstdint>
#include <span>

namespace qsim {

// Ten steps of Newton's method for sqrt(sum(d^2)) from 2^16, each floored: at least 64, at least
// floor(sqrt(sum)), and larger than it where ten steps do not converge. 1..65536 values, |d| <=
// 2^41. Throws std::invalid_argument where the result leaves 63 bits, for which the sum has to pass
// 2^88.
std::int64_t IvitStd(std::span<const std::int64_t> d);

inline constexpr std::int64_t kIvitNumerator = (std::int64_t{1} << 31) - 1;

}  // namespace qsim
