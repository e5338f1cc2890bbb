// CMSIS-NN's requantizer of 48-bit accumulators. docs/numerics.md section 4.10.
//
// Source: arm_nn_requantize_s64 of CMSIS-NN (Include/arm_nnsupportfunctions.h).
#pragma once

#include <cstdint>

namespace qsim::golden {

// (((v * multiplier) >> (14 - shift)) + 1) >> 1: a multiplier reduced to 16 bits, and shift > 0 a
// left shift. |v| <= 2^47, |multiplier| < 2^15, shift in -48..14. Throws std::invalid_argument
// beyond.
std::int64_t CmsisnnRequantizeS64(std::int64_t v, std::int32_t multiplier, int shift);

}  // namespace qsim::golden
