// Arbitrary precision for the second derivations: integers and rationals of any size, and the named
// roundings by their definitions (the nearest integer, then the rule for ties).
#pragma once

#include <gmpxx.h>

#include <cstdint>
#include <stdexcept>

#include "golden/ops/rounding.h"
#include "sim/namespaces.h"

namespace qsim::derivation {

inline mpz_class Big(std::int64_t value) { return mpz_class(static_cast<signed long>(value)); }

// Back to 64 bits; a derived value that does not fit is a broken derivation.
inline std::int64_t Small(const mpz_class& value) {
  if (!value.fits_slong_p()) throw std::range_error("derived value leaves 64 bits");
  return value.get_si();
}

inline mpz_class Power2(std::int64_t exponent) {
  mpz_class power;
  mpz_ui_pow_ui(power.get_mpz_t(), 2, static_cast<unsigned long>(exponent));
  return power;
}

inline mpq_class Ratio(const mpz_class& numerator, const mpz_class& denominator) {
  mpq_class ratio(numerator, denominator);
  ratio.canonicalize();
  return ratio;
}

// value * 2^exponent, exponent of either sign.
inline mpq_class Scaled(const mpq_class& value, std::int64_t exponent) {
  return exponent >= 0 ? mpq_class(value * Power2(exponent)) : mpq_class(value / Power2(-exponent));
}

inline mpz_class Floor(const mpq_class& x) {
  mpz_class quotient;
  mpz_fdiv_q(quotient.get_mpz_t(), x.get_num_mpz_t(), x.get_den_mpz_t());
  return quotient;
}

inline mpz_class Truncate(const mpq_class& x) {
  return sgn(x) < 0 ? mpz_class(-Floor(-x)) : Floor(x);
}

namespace internal {
// The nearest integer; `tie_up` decides between floor and floor + 1 where both are as near.
template <typename TieUp>
mpz_class Nearest(const mpq_class& x, TieUp tie_up) {
  const mpz_class floor = Floor(x);
  const int side = cmp(mpq_class(x - floor), mpq_class(1, 2));
  return side > 0 || (side == 0 && tie_up(floor)) ? mpz_class(floor + 1) : floor;
}
}  // namespace internal

inline mpz_class HalfUp(const mpq_class& x) {
  return internal::Nearest(x, [](const mpz_class&) { return true; });
}

inline mpz_class HalfAway(const mpq_class& x) {
  return internal::Nearest(x, [&](const mpz_class&) { return sgn(x) > 0; });
}

inline mpz_class HalfEven(const mpq_class& x) {
  return internal::Nearest(x, [](const mpz_class& floor) { return mpz_odd_p(floor.get_mpz_t()); });
}

inline mpz_class Rounded(const mpq_class& x, Rounding rounding) {
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
      return Truncate(x);
  }
  throw std::invalid_argument("unknown rounding");
}

inline mpz_class Clamp(const mpz_class& value, const mpz_class& lo, const mpz_class& hi) {
  return value < lo ? lo : value > hi ? hi : value;
}

}  // namespace qsim::derivation
