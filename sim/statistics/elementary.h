// exp, log and erf from additions, multiplications and divisions alone, so that calibration gives
// the same bytes on every machine: a libm may choose another variant (with or without FMA) at run
// time.
#pragma once

namespace qsim::statistics {

// e^x. Relative error below 4e-16 for x in [-700, 700]; 0 below that range.
double Exp(double x);

// The natural logarithm. Relative error below 1e-15 for normal x > 0.
double Log(double x);

// The error function. Absolute error below 1e-15. Rational approximations of W. J. Cody, "Rational
// Chebyshev approximations for the error function", Math. Comp. 23 (1969).
double Erf(double x);

// x * Phi(x), the exact GELU (not its tanh approximation).
double Gelu(double x);

}  // namespace qsim::statistics
