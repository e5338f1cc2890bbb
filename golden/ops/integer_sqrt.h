// Exact integer square root, the layer norms'. docs/numerics.md section 6.2.
#pragma once

#include <cstdint>

#include "golden/ops/int128.h"

namespace qsim::golden {

// floor(sqrt(value)), exact for every value.
std::uint64_t IntegerSqrt(UInt128 value);

}  // namespace qsim::golden
