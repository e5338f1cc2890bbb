// TOSA RESCALE. docs/numerics.md sections 4.8 and 4.9.
//
// Source: apply_scale_32 and apply_scale_16 of the TOSA specification and its reference model
// (reference_model/src/quant_util.h).
#pragma once

#include <cstdint>

namespace qsim::golden {

// (v * multiplier + r) >> shift with r = 2^(shift - 1); with `double_round` and shift > 31, r is
// larger by 2^30 for v >= 0 and smaller by 2^30 for v < 0. |v| <= 2^31, shift in 2..62. The source
// has int32 v, multiplier >= 0, and -2^(shift - 1) <= v < 2^(shift - 1). Throws
// std::invalid_argument beyond these ranges of v and shift.
std::int64_t TosaScale32(std::int64_t v, std::int32_t multiplier, int shift, bool double_round);

// (v * multiplier + 2^(shift - 1)) >> shift. |v| <= 2^47, |multiplier| < 2^15, shift in 2..62; the
// source has multiplier >= 0. Throws std::invalid_argument beyond.
std::int64_t TosaScale16(std::int64_t v, std::int32_t multiplier, int shift);

}  // namespace qsim::golden
