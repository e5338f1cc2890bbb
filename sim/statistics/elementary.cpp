#include "sim/statistics/elementary.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "sim/statistics/elementary_constants.h"

namespace qsim::statistics {
namespace {

// p[0] x^(n-1) + ... + p[n-1]
template <std::size_t N>
double Horner(const std::array<double, N>& p, double x) {
  double value = 0;
  for (const double coefficient : p) value = value * x + coefficient;
  return value;
}

// erfc(x) e^(x^2) for x >= 0.46875.
double ScaledErfc(double x) {
  if (x <= kErfcMiddle) return Horner(kErfcP, x) / Horner(kErfcQ, x);
  const double y = 1.0 / (x * x);
  return (kInverseSqrtPi - y * Horner(kErfcFarP, y) / Horner(kErfcFarQ, y)) / x;
}

}  // namespace

double Exp(double x) {
  if (x < -kLargestExponent) return 0;
  if (x > kLargestExponent) x = kLargestExponent;
  const double k = std::floor(x * kLog2E + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| <= ln(2) / 2
  return std::ldexp(Horner(kInverseFactorials, r), static_cast<int>(k));
}

double Log(double x) {
  constexpr double kLn2 = 6.93147180559945309417e-01;
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // [1/2, 1)
  if (m < kSqrtHalf) {
    m *= 2;
    --exponent;
  }
  // log m = 2 atanh((m - 1) / (m + 1)); |z| < 0.172, so z^23 / 23 is below 2^-53 of the sum.
  const double z = (m - 1) / (m + 1);
  constexpr std::array<double, 11> kSeries = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15,
                                              1.0 / 13, 1.0 / 11, 1.0 / 9,  1.0 / 7,
                                              1.0 / 5,  1.0 / 3,  1.0};
  return 2 * z * Horner(kSeries, z * z) + exponent * kLn2;
}

double Erf(double x) {
  const double magnitude = std::fabs(x);
  if (magnitude <= kErfNear) {
    const double y = x * x;
    return x * Horner(kErfP, y) / Horner(kErfQ, y);
  }
  const double erf = magnitude > kErfOne ? 1 : 1 - Exp(-x * x) * ScaledErfc(magnitude);
  return x < 0 ? -erf : erf;
}

double Gelu(double x) { return 0.5 * x * (1 + Erf(x * kSqrtHalf)); }

}  // namespace qsim::statistics
