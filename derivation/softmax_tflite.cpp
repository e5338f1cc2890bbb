// Section 5.8 in arbitrary precision: TensorFlow Lite's softmax.
#include <algorithm>
#include <optional>
#include <string>

#include "derivation/exact.h"
#include "derivation/softmax_rows.h"
#include "golden/ops/softmax/tflite.h"

namespace qsim::derivation {
namespace {

// The two primitives of section 5.8.
mpz_class H(const mpz_class& a, const mpz_class& b) {
  const mpz_class product = HalfUp(Scaled(a * b, -31));
  return product < Power2(31) ? product : mpz_class(Power2(31) - 1);
}

mpz_class P(const mpz_class& a, std::int64_t exponent) { return HalfAway(Scaled(a, -exponent)); }

mpz_class Saturated(const mpz_class& a) { return Clamp(a, -Power2(31), Power2(31) - 1); }

mpz_class Exponential(const mpz_class& a) {
  if (a == 0) return Power2(31) - 1;
  const mpz_class remainder = a - Floor(Scaled(a, -24)) * Power2(24);
  const mpz_class u = remainder - Power2(24);
  const mpz_class x = u * 32 + Power2(28);
  const mpz_class x2 = H(x, x), x3 = H(x2, x), x4 = H(x2, x2);
  const mpz_class c = 1895147668;
  mpz_class value = c + H(c, x + P(H(P(x4, 2) + x3, 715827883) + x2, 1));
  const long factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  const mpz_class rest = u - a;
  for (unsigned long i = 0; i < 7; ++i) {
    if (mpz_tstbit(rest.get_mpz_t(), 24 + i) != 0) value = H(value, factors[i]);
  }
  return value;
}

mpz_class Reciprocal(const mpz_class& a) {
  const mpz_class sum = a + Power2(31) - 1;
  const mpz_class half = Truncate(Ratio(sum + (sum >= 0 ? 1 : -1), 2));
  mpz_class x = 1515870810 + H(half, -1010580540);
  for (int i = 0; i < 3; ++i) x += Saturated(H(x, Power2(29) - H(half, x)) * 4);
  return Saturated(x * 2);
}

}  // namespace

DerivedRow Derive(const Scores& scores, const TfliteSoftmaxParams& params) {
  const mpz_class top = *std::max_element(scores.begin(), scores.end());
  const mpz_class half = Power2(params.output_bits - 1);
  std::vector<std::optional<mpz_class>> exps;
  mpz_class sum = 0;
  for (const std::int32_t x : scores) {
    const mpz_class d = x - top;
    exps.emplace_back();
    if (d < params.diff_min) continue;
    exps.back() = Exponential(H(d * Power2(params.beta_left_shift), params.beta_multiplier));
    sum += P(*exps.back(), 12);
  }
  std::int64_t headroom = 32;
  while (Power2(32 - headroom) <= sum) --headroom;
  const mpz_class inverse = Reciprocal(sum * Power2(headroom) - Power2(31));
  DerivedRow row;
  for (const auto& exp : exps) {
    mpz_class y = -half;
    if (exp) y += P(H(inverse, *exp), 12 - headroom + 31 - params.output_bits);
    row.y.push_back(Small(Clamp(y, -half, half - 1)));
    row.exps.push_back(exp.value_or(0));
  }
  return row;
}

namespace {

void Compare(Comparison& comparison, const Scores& scores, const TfliteSoftmaxParams& own) {
  CompareSoftmax(comparison, scores, own);
}

// diff_min as TensorFlow Lite derives it from the left shift.
std::int32_t DiffMin(int left_shift) {
  return static_cast<std::int32_t>(-((std::int64_t{31} << 26) >> left_shift));
}

}  // namespace

void CompareTfliteFunctions(Comparison& comparison) {
  const auto exponential = [&](std::int64_t a) {
    comparison.Check(TfliteExp(a), Small(Exponential(Big(a))),
                     [&] { return "TfliteExp of " + std::to_string(a); });
  };
  const auto reciprocal = [&](std::int64_t a) {
    comparison.Check(TfliteReciprocal(a), Small(Reciprocal(Big(a))),
                     [&] { return "TfliteReciprocal of " + std::to_string(a); });
  };
  // Multiples of a high power of two bring the exact halves of the products.
  for (std::int64_t i = 0; i <= 4096; ++i) exponential(-i << 14);
  for (std::int64_t i = 0; i < 2048; ++i) reciprocal(i << 20);
  for (int i = 0; i < 8000; ++i) {
    exponential(-comparison.Corner(0, std::int64_t{1} << 31));
    exponential(-comparison.Between(0, std::int64_t{1} << comparison.Between(0, 62)));
    reciprocal(comparison.Corner(0, INT32_MAX));
  }
}

void CompareTflite(Comparison& comparison) {
  for (int i = 0; i < 200; ++i) {
    TfliteSoftmaxParams own;
    own.output_bits = comparison.Between(0, 1) == 0 ? 8 : 16;
    if (i % 4 != 0) {
      own.beta_multiplier = static_cast<std::int32_t>(comparison.Corner(1 << 30, INT32_MAX));
      own.beta_left_shift = static_cast<int>(comparison.Between(16, 27));
      own.diff_min = DiffMin(own.beta_left_shift);
    } else {
      own.beta_multiplier = static_cast<std::int32_t>(comparison.Corner(0, INT32_MAX));
      own.beta_left_shift = static_cast<int>(comparison.Corner(0, 31));
      own.diff_min = static_cast<std::int32_t>(comparison.Corner(INT32_MIN, 0));
    }
    const int bits = comparison.Between(0, 2) > 0 ? 8 : static_cast<int>(comparison.Between(2, 32));
    Compare(comparison, DrawScores(comparison, bits, i % 20 == 0 ? 1024 : 70), own);
  }
  // Sums on both sides of 2^28, where the last shift of 8 bits passes 31, and the longest row.
  for (const std::size_t length : {511U, 512U, 513U, 2048U, 8191U}) {
    for (const int bits : {8, 16}) {
      Compare(comparison, Scores(length, -3),
              {.beta_left_shift = 20, .diff_min = -100, .output_bits = bits});
    }
  }
  // An exact half in the sum's rounding, which 4,000 small exponentials show, and in the last.
  Scores small(4000, -196);
  small.push_back(0);
  Compare(
      comparison, small,
      {.beta_multiplier = 1215111458, .beta_left_shift = 23, .diff_min = -248, .output_bits = 16});
  Compare(
      comparison, {0, -125},
      {.beta_multiplier = 1619510336, .beta_left_shift = 23, .diff_min = -248, .output_bits = 16});
  // Powers of two of equal scores: the probability is exact and the last rounding meets its ties.
  for (std::size_t m = 0; m <= 10; ++m) {
    Compare(comparison, Scores(std::size_t{1} << m, 9), {.beta_left_shift = 23, .diff_min = -248});
  }
}

}  // namespace qsim::derivation
