// The standard deviation of I-BERT's layer norm. docs/numerics.md section 6.1.
//
// Source: IntLayerNorm of I-BERT (Kim et al., ICML 2021, arXiv:2101.01321).
#pragma once

#include <cstdint>
#include <span>

namespace qsim {

// max(floor(sqrt(sum((d >> k)^2))) << k, 1), the root of the sum and not of the mean. 1..65536
// values, |d| <= 2^41; k in 0..31.
std::int64_t IbertStd(std::span<const std::int64_t> d, int k);

inline constexpr std::int64_t kIbertNumerator = std::int64_t{1} << 31;

}  // namespace qsim
