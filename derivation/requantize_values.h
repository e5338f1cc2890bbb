// The requantizers' equations, and what their batteries share: values and multipliers to try.
#pragma once

#include <gmpxx.h>

#include <cstdint>

#include "derivation/comparison.h"

namespace qsim::derivation {

// Sections 4.6 to 4.14, one value v with its multiplier m. `shift` is the right shift of the whole
// product, whatever the source counts.
mpz_class DeriveTfliteDouble(const mpz_class& v, const mpz_class& m, int shift);
mpz_class DeriveTosaScale32Double(const mpz_class& v, const mpz_class& m, int shift);
mpz_class DeriveItaRequantize(const mpz_class& v, const mpz_class& m, int shift);
mpz_class DeriveIbertDyadic(const mpz_class& v, const mpz_class& m, int shift);
mpz_class DeriveRequantShift(const mpz_class& v, const mpz_class& m, const mpz_class& addend,
                             int shift, bool rounding);
// tflite_single, tosa_scale32, tosa_scale16, cmsisnn_s64, ita_rtl: once, half up.
mpz_class DeriveHalfUp(const mpz_class& v, const mpz_class& m, int shift);

// One value, its multiplier and the right shift of their product.
struct Scaling {
  std::int64_t v;
  std::int32_t m;
  int shift;
};

struct ScalingLimits {
  int v_bits;  // signed
  std::int64_t m_lo, m_hi;
  int shift_lo, shift_hi;
  int tie_shift;  // a shift beside which the scheme's rules part
};

// A quarter of them exact ties of the whole product, or one step of v beside one; a quarter with a
// shift near `tie_shift`; the rest anywhere, ends included.
Scaling DrawScaling(Comparison& comparison, const ScalingLimits& limits);

// The batteries, by scheme.
void CompareTfliteDouble(Comparison& comparison);
void CompareTfliteSingle(Comparison& comparison);
void CompareTflitePrimitives(Comparison& comparison);
void CompareTosaScale32(Comparison& comparison);
void CompareTosaScale32Double(Comparison& comparison);
void CompareTosaScale16(Comparison& comparison);
void CompareCmsisnnS64(Comparison& comparison);
void CompareItaRequantize(Comparison& comparison);
void CompareItaRtl(Comparison& comparison);
void CompareRequantShift(Comparison& comparison);
void CompareIbertDyadic(Comparison& comparison);

}  // namespace qsim::derivation
