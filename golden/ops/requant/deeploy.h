// RequantShift of QuantLib and Deeploy. docs/numerics.md section 4.13.
//
// Source: RequantShift_s32_s8_NHWC and its variants (Deeploy,
// TargetLibraries/Generic/src/RequantShift_s8.c; Scherer et al., TCAD 2024, arXiv:2408.04413).
#pragma once

#include <cstdint>

namespace qsim::golden {

// (v * mul + add + r) >> log2d, r = 2^(log2d - 1) where `rounding` is set and log2d > 0, else 0.
// The source then adds its output offset and clamps. log2d in 0..62. Throws std::invalid_argument
// beyond, and where the result leaves 64 bits; that takes |v| > 2^31 or |add| > 2^62.
std::int64_t RequantShift(std::int64_t v, std::int32_t mul, std::int64_t add, int log2d,
                          bool rounding);

}  // namespace qsim::golden
