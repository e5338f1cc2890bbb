// Sections 4.6 to 4.14 in arbitrary precision: every named requantizer, one value at a time.
#include <string>

#include "derivation/exact.h"
#include "derivation/requantize_values.h"
#include "golden/ops/requant/cmsisnn.h"
#include "golden/ops/requant/deeploy.h"
#include "golden/ops/requant/ibert.h"
#include "golden/ops/requant/ita.h"
#include "golden/ops/requant/tflite.h"
#include "golden/ops/requant/tosa.h"

namespace qsim::derivation {
namespace {

constexpr int kValues = 6000;

mpz_class HighMul(const mpz_class& a, const mpz_class& b) {
  const mpz_class high = HalfUp(Scaled(a * b, -31));
  return high < Power2(31) ? high : mpz_class(Power2(31) - 1);
}

std::string Describe(const Scaling& s) {
  return "v " + std::to_string(s.v) + " multiplier " + std::to_string(s.m) + " shift " +
         std::to_string(s.shift);
}

// `golden` and `derive` take a Scaling whose shift is the right shift S of the whole product.
template <typename Golden, typename Derive>
void Compare(Comparison& comparison, const ScalingLimits& limits, Golden golden, Derive derive) {
  for (int i = 0; i < kValues; ++i) {
    const Scaling s = DrawScaling(comparison, limits);
    comparison.Check(golden(s), Small(derive(s)), [&] { return Describe(s); });
  }
}

// A derivation that takes v, m and the shift.
using Equation = mpz_class (*)(const mpz_class& v, const mpz_class& m, int shift);

template <Equation kEquation>
mpz_class Of(const Scaling& s) {
  return kEquation(Big(s.v), s.m, s.shift);
}

constexpr std::int64_t kInt31 = (std::int64_t{1} << 31) - 1;
constexpr ScalingLimits kTflite = {
    .v_bits = 32, .m_lo = -kInt31, .m_hi = kInt31, .shift_lo = 0, .shift_hi = 93, .tie_shift = 31};

}  // namespace

mpz_class DeriveTfliteDouble(const mpz_class& v, const mpz_class& m, int shift) {
  const int left = shift < 31 ? 31 - shift : 0;
  const int right = shift > 31 ? shift - 31 : 0;
  return HalfAway(Scaled(HighMul(v * Power2(left), m), -right));
}

// For multipliers that TOSA has, this is TFLite's double rounding without its saturation.
mpz_class DeriveTosaScale32Double(const mpz_class& v, const mpz_class& m, int shift) {
  if (shift <= 31) return HalfUp(Scaled(v * m, -shift));
  if (m >= 0) return HalfAway(Scaled(HalfUp(Scaled(v * m, -31)), 31 - shift));
  return HalfUp(Scaled(v * m + (v < 0 ? -Power2(30) : Power2(30)), -shift));
}

mpz_class DeriveHalfUp(const mpz_class& v, const mpz_class& m, int shift) {
  return HalfUp(Scaled(v * m, -shift));
}

mpz_class DeriveItaRequantize(const mpz_class& v, const mpz_class& m, int shift) {
  return Floor(Scaled(v * m, -shift) + mpq_class(1, 2) + Scaled(1, -23));
}

mpz_class DeriveIbertDyadic(const mpz_class& v, const mpz_class& m, int shift) {
  return HalfEven(Scaled(v * m, -shift));
}

mpz_class DeriveRequantShift(const mpz_class& v, const mpz_class& m, const mpz_class& addend,
                             int shift, bool rounding) {
  const mpq_class scaled = Scaled(v * m + addend, -shift);
  return rounding ? HalfUp(scaled) : Floor(scaled);
}

void CompareTfliteDouble(Comparison& comparison) {
  Compare(
      comparison, kTflite,
      [](const Scaling& s) { return TfliteDoubleRounding(s.v, s.m, 31 - s.shift); },
      Of<DeriveTfliteDouble>);
}

void CompareTfliteSingle(Comparison& comparison) {
  Compare(
      comparison, kTflite,
      [](const Scaling& s) { return TfliteSingleRounding(s.v, s.m, 31 - s.shift); },
      Of<DeriveHalfUp>);
}

// The primitives beyond the range that a requantizer gives them.
void CompareTflitePrimitives(Comparison& comparison) {
  for (int i = 0; i < kValues; ++i) {
    const std::int64_t a = comparison.Corner(-(std::int64_t{1} << 62), std::int64_t{1} << 62);
    const std::int64_t b = comparison.Corner(INT32_MIN, INT32_MAX);
    const auto describe = [&] { return std::to_string(a) + ", " + std::to_string(b); };
    comparison.Check(SaturatingRoundingDoublingHighMul(a, b), Small(HighMul(Big(a), Big(b))),
                     describe);
    const std::int64_t narrow = comparison.Corner(INT32_MIN, INT32_MAX);
    comparison.Check(SaturatingRoundingDoublingHighMul(narrow, b),
                     Small(HighMul(Big(narrow), Big(b))), describe);
    const auto exponent = static_cast<int>(comparison.Between(0, 62));
    const std::int64_t near_tie =
        comparison.Between(-9, 9) * (std::int64_t{1} << (exponent / 2)) + comparison.Between(-1, 1);
    comparison.Check(RoundingDivideByPowerOfTwo(near_tie, exponent / 2 + 1),
                     Small(HalfAway(Scaled(Big(near_tie), -(exponent / 2 + 1)))), describe);
    comparison.Check(RoundingDivideByPowerOfTwo(a, exponent),
                     Small(HalfAway(Scaled(Big(a), -exponent))), describe);
  }
}

void CompareTosaScale32(Comparison& comparison) {
  Compare(
      comparison,
      {.v_bits = 32,
       .m_lo = INT32_MIN,
       .m_hi = INT32_MAX,
       .shift_lo = 2,
       .shift_hi = 62,
       .tie_shift = 31},
      [](const Scaling& s) { return TosaScale32(s.v, s.m, s.shift, /*double_round=*/false); },
      Of<DeriveHalfUp>);
}

void CompareTosaScale32Double(Comparison& comparison) {
  for (const bool negative : {false, true}) {
    Compare(
        comparison,
        {.v_bits = 32,
         .m_lo = negative ? INT32_MIN : 0,
         .m_hi = negative ? -1 : kInt31,
         .shift_lo = 2,
         .shift_hi = 62,
         .tie_shift = 31},
        [](const Scaling& s) { return TosaScale32(s.v, s.m, s.shift, /*double_round=*/true); },
        Of<DeriveTosaScale32Double>);
  }
}

void CompareTosaScale16(Comparison& comparison) {
  Compare(
      comparison,
      {.v_bits = 48, .m_lo = -32767, .m_hi = 32767, .shift_lo = 2, .shift_hi = 62, .tie_shift = 15},
      [](const Scaling& s) { return TosaScale16(s.v, s.m, s.shift); }, Of<DeriveHalfUp>);
}

void CompareCmsisnnS64(Comparison& comparison) {
  Compare(
      comparison,
      {.v_bits = 48, .m_lo = -32767, .m_hi = 32767, .shift_lo = 1, .shift_hi = 63, .tie_shift = 15},
      [](const Scaling& s) { return CmsisnnRequantizeS64(s.v, s.m, 15 - s.shift); },
      Of<DeriveHalfUp>);
}

void CompareItaRequantize(Comparison& comparison) {
  for (const std::int64_t m_hi : {std::int64_t{255}, kInt31}) {
    Compare(
        comparison,
        {.v_bits = 32,
         .m_lo = m_hi == 255 ? 0 : -m_hi,
         .m_hi = m_hi,
         .shift_lo = 0,
         .shift_hi = 255,
         .tie_shift = 23},
        [](const Scaling& s) {
          return static_cast<std::int64_t>(ItaRequantize(s.v, s.m, s.shift));
        },
        Of<DeriveItaRequantize>);
  }
}

void CompareItaRtl(Comparison& comparison) {
  Compare(
      comparison,
      {.v_bits = 32, .m_lo = 0, .m_hi = 255, .shift_lo = 0, .shift_hi = 31, .tie_shift = 8},
      [](const Scaling& s) { return ItaRtlRequantize(s.v, s.m, s.shift); }, Of<DeriveHalfUp>);
}

void CompareRequantShift(Comparison& comparison) {
  for (int i = 0; i < kValues; ++i) {
    Scaling s = DrawScaling(comparison, {.v_bits = 32,
                                         .m_lo = INT32_MIN,
                                         .m_hi = INT32_MAX,
                                         .shift_lo = 0,
                                         .shift_hi = 62,
                                         .tie_shift = 8});
    // An addend of whole steps keeps the ties that DrawScaling made.
    const std::int64_t add =
        comparison.Between(0, 1) == 0
            ? comparison.Corner(-(std::int64_t{1} << 61), std::int64_t{1} << 61)
            : comparison.Between(-5, 5) * (std::int64_t{1} << (s.shift < 58 ? s.shift : 0));
    const auto describe = [&] { return Describe(s) + " add " + std::to_string(add); };
    for (const bool rounding : {true, false}) {
      comparison.Check(RequantShift(s.v, s.m, add, s.shift, rounding),
                       Small(DeriveRequantShift(Big(s.v), s.m, Big(add), s.shift, rounding)),
                       describe);
    }
  }
}

void CompareIbertDyadic(Comparison& comparison) {
  const ScalingLimits limits = {.v_bits = 32,
                                .m_lo = INT32_MIN,
                                .m_hi = INT32_MAX,
                                .shift_lo = -31,
                                .shift_hi = 150,
                                .tie_shift = 31};
  for (int i = 0; i < kValues; ++i) {
    Dyadic ratio[2];
    std::int64_t z[2];
    mpz_class derived[2];
    for (const int k : {0, 1}) {
      const Scaling s = DrawScaling(comparison, limits);
      const bool rounded_up = comparison.Between(0, 7) == 0;
      ratio[k] = {rounded_up ? std::int64_t{1} << 31 : s.m, s.shift};
      z[k] = s.v;
      derived[k] = DeriveIbertDyadic(Big(s.v), Big(ratio[k].m), s.shift);
    }
    const auto bits = static_cast<int>(comparison.Between(1, 32));
    const mpz_class limit = Power2(bits - 1);
    const auto describe = [&] {
      return std::to_string(z[0]) + " * " + std::to_string(ratio[0].m) + " / 2^" +
             std::to_string(ratio[0].e) + " and " + std::to_string(z[1]) + " * " +
             std::to_string(ratio[1].m) + " / 2^" + std::to_string(ratio[1].e);
    };
    for (const int width : {bits, 32}) {
      const mpz_class half = Power2(width - 1);
      comparison.Check(DyadicRequantize(z[0], ratio[0], width),
                       Small(Clamp(derived[0], -half, half - 1)), describe);
    }
    comparison.Check(DyadicResidual(z[0], ratio[0], z[1], ratio[1], bits),
                     Small(Clamp(derived[0] + derived[1], -limit, limit - 1)), describe);
  }
}

}  // namespace qsim::derivation
