#include "golden/ops/rounding.h"

#include <array>
#include <compare>

#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

// A quotient floor + rest, 0 <= rest < 1: whether the mode rounds it to floor + 1. The one place
// that knows the five rules (equation 2.2).
struct Quotient {
  bool negative;  // the quotient is below 0
  bool floor_is_odd;
  bool exact;                    // rest == 0
  std::strong_ordering to_half;  // rest against 1/2
};

bool RoundsUp(const Quotient& q, Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return q.to_half >= 0;
    case Rounding::kHalfAway:
      return q.negative ? q.to_half > 0 : q.to_half >= 0;
    case Rounding::kHalfEven:
      return q.to_half > 0 || (q.to_half == 0 && q.floor_is_odd);
    case Rounding::kFloor:
      return false;
    case Rounding::kTowardZero:
      return q.negative && !q.exact;
  }
  throw std::invalid_argument("RoundShift: unknown rounding mode");
}

template <typename Int>
Int ShiftRounded(Int value, int shift, Rounding rounding) {
  if (shift == 0) return value;
  const Int floor = value >> shift;
  const Int rest = value & ((Int{1} << shift) - 1);
  const Int half = Int{1} << (shift - 1);
  const Quotient quotient{.negative = value < 0,
                          .floor_is_odd = (floor & 1) != 0,
                          .exact = rest == 0,
                          .to_half = rest <=> half};
  return floor + Int{RoundsUp(quotient, rounding)};
}

}  // namespace

std::int64_t RoundShift(std::int64_t value, int shift, Rounding rounding) {
  Require(shift >= 0 && shift <= 62, "RoundShift: shift must be in 0..62");
  return ShiftRounded(value, shift, rounding);
}

Int128 RoundShift(Int128 value, int shift, Rounding rounding) {
  Require(shift >= 0 && shift <= 126, "RoundShift: shift must be in 0..126");
  return ShiftRounded(value, shift, rounding);
}

std::int64_t RoundDivide(std::int64_t numerator, std::int64_t denominator, Rounding rounding) {
  Require(denominator > 0, "RoundDivide: the denominator must be positive");
  std::int64_t floor = numerator / denominator;
  std::int64_t rest = numerator % denominator;
  if (rest < 0) {
    --floor;
    rest += denominator;
  }
  const Quotient quotient{.negative = numerator < 0,
                          .floor_is_odd = (floor & 1) != 0,
                          .exact = rest == 0,
                          .to_half = rest <=> denominator - rest};
  return floor + std::int64_t{RoundsUp(quotient, rounding)};
}

}  // namespace qsim::golden
