#include "sim/io/tensors/half.h"

#include <bit>

#include "sim/namespaces.h"

namespace qsim::io {

float HalfToFloat(std::uint16_t code) {
  const std::uint32_t sign = (code & 0x8000u) << 16;
  std::uint32_t exponent = (code >> 10) & 0x1fu;
  std::uint32_t fraction = code & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0) {
    if (fraction == 0) return std::bit_cast<float>(sign);
    // Subnormal: shift the leading one into the implicit place; binary32 has exponents to spare.
    exponent = 1;
    while ((fraction & 0x400u) == 0) {
      fraction <<= 1;
      --exponent;
    }
    fraction &= 0x3ffu;
  }
  // `exponent` may have wrapped below 0; adding the difference of the biases brings it back.
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

std::uint16_t FloatToHalf(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {  // the quiet bit keeps a NaN whose payload would be cut off a NaN
    return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) {  // 65520 and above round to infinity
    return static_cast<std::uint16_t>(sign | 0x7c00u);
  }
  std::uint32_t shift = 13;
  std::uint32_t mantissa = magnitude - (112u << 23);  // rebias, exponent and fraction in one number
  if (magnitude < 0x38800000u) {                      // below 2^-14: a subnormal half
    const std::uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return static_cast<std::uint16_t>(sign);  // below 2^-25
    mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    shift = 126 - exponent;  // 14..24
  }
  const std::uint32_t half = 1u << (shift - 1);
  const std::uint32_t remainder = mantissa & ((1u << shift) - 1);
  std::uint32_t rounded = mantissa >> shift;
  if (remainder > half || (remainder == half && (rounded & 1u) != 0)) ++rounded;
  return static_cast<std::uint16_t>(sign | rounded);
}

float Bfloat16ToFloat(std::uint16_t code) {
  return std::bit_cast<float>(std::uint32_t{code} << 16);
}

std::uint16_t FloatToBfloat16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  }
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace qsim::io
