// The one place where a value wraps.
#pragma once

#include <cstdint>

namespace qsim::golden {

// The low `bits` of a value, 1..64, as a two's complement number.
inline std::int64_t WrapTo(std::int64_t value, int bits) {
  const auto shift = static_cast<unsigned>(64 - bits);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << shift) >> shift;
}

}  // namespace qsim::golden
