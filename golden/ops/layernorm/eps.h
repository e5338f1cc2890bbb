// The eps of a normalisation in integers: a constant of its sum of squares. docs/numerics.md
// section 6.10.
#pragma once

#include <cstdint>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/require.h"

namespace qsim::golden {

inline constexpr std::int64_t kMaxNormEps = std::int64_t{1} << 62;

// Absent from tables and bundles where it is 0.
inline constexpr Field kEpsField{"eps", Role::kEpsilon, 64, false, Axis::kTensor, true};

// A sum of squares with nothing in it but this.
inline UInt128 StartingAt(std::int64_t eps) {
  Require(eps >= 0 && eps <= kMaxNormEps, "eps must be in 0..2^62");
  return static_cast<UInt128>(eps);
}

}  // namespace qsim::golden
