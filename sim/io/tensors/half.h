// IEEE 754 binary16 and bfloat16, as 16-bit codes. Widening is exact; narrowing rounds half to
// even, overflows to infinity and keeps a NaN a NaN.
#pragma once

#include <cstdint>

namespace qsim::io {

float HalfToFloat(std::uint16_t code);
std::uint16_t FloatToHalf(float value);

float Bfloat16ToFloat(std::uint16_t code);
std::uint16_t FloatToBfloat16(float value);

}  // namespace qsim::io
