// The coefficients of elementary.h, for one number and for vectors of them.
#pragma once

#include <array>

#include "sim/namespaces.h"

namespace qsim::statistics {

inline constexpr double kSqrtHalf = 0.70710678118654752440;

// exp
inline constexpr double kLargestExponent = 700;
inline constexpr double kLog2E = 1.4426950408889634074;
inline constexpr double kLn2High = 6.93147180369123816490e-01;  // its low 32 bits are zero
inline constexpr double kLn2Low = 1.90821492927058770002e-10;
// Taylor's series to 1/13!, which is below 2^-53 of the sum.
inline constexpr std::array<double, 14> kInverseFactorials = {1.0 / 6227020800,
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

// erf up to kErfNear, erfc(x) e^(x^2) up to kErfcMiddle, and beyond; 1 from kErfOne on.
inline constexpr double kErfNear = 0.46875, kErfcMiddle = 4, kErfOne = 6;
inline constexpr std::array<double, 5> kErfP = {1.85777706184603153e-1, 3.16112374387056560e0,
                                                1.13864154151050156e2, 3.77485237685302021e2,
                                                3.20937758913846947e3};
inline constexpr std::array<double, 5> kErfQ = {1.0, 2.36012909523441209e1, 2.44024637934444173e2,
                                                1.28261652607737228e3, 2.84423683343917062e3};
inline constexpr std::array<double, 9> kErfcP = {
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
    6.61191906371416295e1,  2.98635138197400131e2,  8.81952221241769090e2,
    1.71204761263407058e3,  2.05107837782607147e3,  1.23033935479799725e3};
inline constexpr std::array<double, 9> kErfcQ = {1.0,
                                                 1.57449261107098347e1,
                                                 1.17693950891312499e2,
                                                 5.37181101862009858e2,
                                                 1.62138957456669019e3,
                                                 3.29079923573345963e3,
                                                 4.36261909014324716e3,
                                                 3.43936767414372164e3,
                                                 1.23033935480374942e3};
inline constexpr std::array<double, 6> kErfcFarP = {1.63153871373020978e-2, 3.05326634961232344e-1,
                                                    3.60344899949804439e-1, 1.25781726111229246e-1,
                                                    1.60837851487422766e-2, 6.58749161529837803e-4};
inline constexpr std::array<double, 6> kErfcFarQ = {1.0,
                                                    2.56852019228982242e0,
                                                    1.87295284992346047e0,
                                                    5.27905102951428412e-1,
                                                    6.05183413124413191e-2,
                                                    2.33520497626869185e-3};
inline constexpr double kInverseSqrtPi = 5.6418958354775628695e-1;

}  // namespace qsim::statistics
