// Section 2's named modes, by their definitions.
#pragma once

#include "golden/ops/rounding.h"
#include "derivation/exact.h"

namespace qsim::derivation {

inline mpz_class RoundTo(const mpq_class& x, Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return HalfUp(x);
    case Rounding::kHalfAway:
      return HalfAway(x);
    case Rounding::kHalfEven:
      return HalfEven(x);
    case Rounding::kFloor:
      return Floor(x);
    case Rounding::kTowardZero:
      break;
  }
  return Truncate(x);
}

}  // namespace qsim::derivation
