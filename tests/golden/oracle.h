// Independent definitions that the golden operations are tested against: rounding by distance to
// the neighbouring integers, in 128 bits, instead of by bits of the quotient.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>

#include "golden/ops/int128.h"
#include "golden/ops/requantize.h"
#include "golden/ops/rounding.h"
#include "tests/namespaces.h"

namespace qsim::testing {

inline Int128 Magnitude(Int128 v) { return v < 0 ? -v : v; }

// numerator / denominator as the definitions of the modes say. denominator > 0.
inline Int128 OracleDivide(Int128 numerator, Int128 denominator, Rounding rounding) {
  const Int128 truncated = numerator / denominator;
  if (rounding == Rounding::kTowardZero) return truncated;
  if (rounding == Rounding::kFloor) {
    return truncated * denominator > numerator ? truncated - 1 : truncated;
  }
  Int128 best = truncated;
  Int128 best_distance = Magnitude(numerator - truncated * denominator);
  for (const Int128 candidate : {truncated - 1, truncated + 1}) {
    const Int128 distance = Magnitude(numerator - candidate * denominator);
    const bool wins_tie = rounding == Rounding::kHalfUp     ? candidate > best
                          : rounding == Rounding::kHalfAway ? Magnitude(candidate) > Magnitude(best)
                                                            : candidate % 2 == 0;
    if (distance < best_distance || (distance == best_distance && wins_tie)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

struct OracleResult {
  std::int32_t y;
  bool low, high;  // clamped to that end
  bool tie;        // exactly between two integers before it was rounded
  bool saturated() const { return low || high; }
};

// Equation 4.1, in 128 bits.
inline OracleResult OracleRequantize(Int128 product_sum, int shift, std::int32_t zero,
                                     Rounding rounding, QuantRange range) {
  const Int128 divisor = Int128{1} << shift;
  const Int128 y = OracleDivide(product_sum, divisor, rounding) + zero;
  const bool tie = shift > 0 && 2 * Magnitude(product_sum % divisor) == divisor;
  if (y < range.qmin) return {range.qmin, true, false, tie};
  if (y > range.qmax) return {range.qmax, false, true, tie};
  return {static_cast<std::int32_t>(y), false, false, tie};
}

// What a random run came across; a run that never met an edge has not tested it.
struct Exercised {
  std::int64_t low = 0, high = 0, ties = 0, plain = 0;

  void Include(const OracleResult& result) {
    low += result.low;
    high += result.high;
    ties += result.tie && !result.saturated();
    plain += !result.tie && !result.saturated();
  }
  Exercised& operator+=(const Exercised& other) {
    low += other.low;
    high += other.high;
    ties += other.ties;
    plain += other.plain;
    return *this;
  }
  void ExpectEach(std::int64_t at_least) const {
    EXPECT_GE(low, at_least) << "saturated low";
    EXPECT_GE(high, at_least) << "saturated high";
    EXPECT_GE(ties, at_least) << "exact ties";
    EXPECT_GE(plain, at_least) << "neither";
  }
};

}  // namespace qsim::testing
