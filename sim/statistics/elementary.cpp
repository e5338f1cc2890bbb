#include "sim/statistics/elementary.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "sim/namespaces.h"

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
  constexpr std::array<double, 9> kP = {
      2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
      6.61191906371416295e1,  2.98635138197400131e2,  8.81952221241769090e2,
      1.71204761263407058e3,  2.05107837782607147e3,  1.23033935479799725e3};
  constexpr std::array<double, 9> kQ = {1.0,
                                        1.57449261107098347e1,
                                        1.17693950891312499e2,
                                        5.37181101862009858e2,
                                        1.62138957456669019e3,
                                        3.29079923573345963e3,
                                        4.36261909014324716e3,
                                        3.43936767414372164e3,
                                        1.23033935480374942e3};
  constexpr std::array<double, 6> kFarP = {1.63153871373020978e-2, 3.05326634961232344e-1,
                                           3.60344899949804439e-1, 1.25781726111229246e-1,
                                           1.60837851487422766e-2, 6.58749161529837803e-4};
  constexpr std::array<double, 6> kFarQ = {1.0,
                                           2.56852019228982242e0,
                                           1.87295284992346047e0,
                                           5.27905102951428412e-1,
                                           6.05183413124413191e-2,
                                           2.33520497626869185e-3};
  constexpr double kInverseSqrtPi = 5.6418958354775628695e-1;
  if (x <= 4.0) return Horner(kP, x) / Horner(kQ, x);
  const double y = 1.0 / (x * x);
  return (kInverseSqrtPi - y * Horner(kFarP, y) / Horner(kFarQ, y)) / x;
}

}  // namespace

double Exp(double x) {
  constexpr double kLog2E = 1.4426950408889634074;
  constexpr double kLn2High = 6.93147180369123816490e-01;  // its low 32 bits are zero
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  if (x < -700) return 0;
  if (x > 700) x = 700;
  const double k = std::floor(x * kLog2E + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| <= ln(2) / 2
  // Taylor's series to 1/13!, which is below 2^-53 of the sum.
  constexpr std::array<double, 14> kInverseFactorials = {1.0 / 6227020800,
                                                         1.0 / 479001600,
                                                         1.0 / 39916800,
                                                         1.0 / 3628800,
                                                         1.0 / 362880,
                                                         1.0 / 40320,
                                                         1.0 / 5040,
                                                         1.0 / 720,
                                                         1.0 / 120,
                                                         1.0 / 24,
                                                         1.0 / 6,
                                                         1.0 / 2,
                                                         1.0,
                                                         1.0};
  return std::ldexp(Horner(kInverseFactorials, r), static_cast<int>(k));
}

double Log(double x) {
  constexpr double kLn2 = 6.93147180559945309417e-01;
  constexpr double kSqrtHalf = 0.70710678118654752440;
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
  constexpr std::array<double, 5> kP = {1.85777706184603153e-1, 3.16112374387056560e0,
                                        1.13864154151050156e2, 3.77485237685302021e2,
                                        3.20937758913846947e3};
  constexpr std::array<double, 5> kQ = {1.0, 2.36012909523441209e1, 2.44024637934444173e2,
                                        1.28261652607737228e3, 2.84423683343917062e3};
  const double magnitude = std::fabs(x);
  if (magnitude <= 0.46875) {
    const double y = x * x;
    return x * Horner(kP, y) / Horner(kQ, y);
  }
  const double erf = magnitude > 6 ? 1 : 1 - Exp(-x * x) * ScaledErfc(magnitude);
  return x < 0 ? -erf : erf;
}

double Gelu(double x) { return 0.5 * x * (1 + Erf(x * 0.70710678118654752440)); }

}  // namespace qsim::statistics
