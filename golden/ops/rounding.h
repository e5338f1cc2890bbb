// Rounding right shifts: the only place where a value loses its low bits. docs/numerics.md
// section 2.
//
//                  -1.5  -0.5   0.5   1.5
//   half_up          -1     0     1     2     floor(x + 1/2)
//   half_away        -2    -1     1     2     sign(x) * floor(|x| + 1/2)
//   half_even        -2     0     0     2     ties to the even neighbour
//   floor            -2    -1     0     1
//   toward_zero      -1     0     0     1
#pragma once

#include <cstdint>

#include "golden/ops/int128.h"
#include "golden/ops/names.h"

namespace qsim::golden {

enum class Rounding : std::uint8_t { kHalfUp, kHalfAway, kHalfEven, kFloor, kTowardZero };

constexpr auto NamesOf(Rounding /*enum*/) {
  return std::to_array<NamedValue<Rounding>>({
      {Rounding::kHalfUp, "half_up"},
      {Rounding::kHalfAway, "half_away"},
      {Rounding::kHalfEven, "half_even"},
      {Rounding::kFloor, "floor"},
      {Rounding::kTowardZero, "toward_zero"},
  });
}
inline constexpr auto kAllRoundings = AllOf<Rounding>();

// value / 2^shift, rounded to an integer. shift in 0..62; a shift of 0 returns value unchanged for
// every mode. Defined for every value: no rounding constant is added, so nothing can overflow.
// Throws std::invalid_argument for another shift.
std::int64_t RoundShift(std::int64_t value, int shift, Rounding rounding);

// The same for 128-bit values. shift in 0..126.
Int128 RoundShift(Int128 value, int shift, Rounding rounding);

// numerator / denominator, rounded. Throws std::invalid_argument unless denominator > 0.
std::int64_t RoundDivide(std::int64_t numerator, std::int64_t denominator, Rounding rounding);

}  // namespace qsim::golden
