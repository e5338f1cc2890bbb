#include "golden/ops/integer_sqrt.h"

namespace qsim::golden {
namespace {

// Digit by digit, two bits of the value per bit of the root: the schoolbook method in base 2.
template <typename UInt>
UInt Root(UInt value) {
  UInt root = 0;
  for (UInt bit = UInt{1} << (sizeof(UInt) * 8 - 2); bit != 0; bit >>= 2) {
    if (value >= root + bit) {
      value -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return root;
}

}  // namespace

std::uint64_t IntegerSqrt(UInt128 value) {
  if (value >> 64 == 0) return Root(static_cast<std::uint64_t>(value));
  return static_cast<std::uint64_t>(Root(value));
}

}  // namespace qsim::golden
