// A number in few bits.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/namespaces.h"

namespace qsim::explain {

// Two's complement of its low `bits`.
template <typename Int>
Int WrapTo(Int value, int bits) {
  const Int half = Int{1} << (bits - 1);
  return ((value + half) & (2 * half - 1)) - half;
}

template <typename Int>
Int SaturateTo(Int value, int bits) {
  const Int half = Int{1} << (bits - 1);
  return std::clamp<Int>(value, -half, half - 1);
}

// The same bits read with the other signedness.
inline std::int64_t OtherSign(std::int64_t value, int bits, bool is_signed) {
  return is_signed ? value & ((std::int64_t{1} << bits) - 1) : WrapTo(value, bits);
}

}  // namespace qsim::explain
