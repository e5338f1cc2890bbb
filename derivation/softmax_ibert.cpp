// Sections 5.1 to 5.4 in arbitrary precision: I-BERT's exponential, and what I-BERT and FQ-ViT make
// of it.
#include <algorithm>
#include <string>
#include <utility>

#include "derivation/exact.h"
#include "derivation/softmax_rows.h"

namespace qsim::derivation {
namespace {

std::vector<mpz_class> Exponentials(const Scores& scores, const IbertExp& exp) {
  const mpz_class top = *std::max_element(scores.begin(), scores.end());
  const mpz_class x0 = exp.x0, b = Big(exp.b), c = Big(exp.c);
  std::vector<mpz_class> exps;
  for (const std::int32_t x : scores) {
    const mpz_class limit = exp.n * x0;
    const mpz_class distance = x - top;
    const mpz_class d = distance > limit ? distance : limit;
    const mpz_class q = Floor(Ratio(-d, -x0));
    const mpz_class r = d - q * x0;
    const mpz_class value = (r * (r + b) + c) * Power2(exp.n - q.get_si());
    exps.push_back(value > 0 ? value : mpz_class(0));
  }
  return exps;
}

// I-BERT's steps after the exponential, the last one half up in the rounded form.
template <typename Params>
DerivedRow DeriveIbert(const Scores& scores, const Params& params, bool rounded, int extra_bits) {
  DerivedRow row;
  mpz_class sum = 0;
  for (const mpz_class& exp : Exponentials(scores, params.exp)) {
    row.exp_int.push_back(Small(exp));
    const mpq_class scaled = Scaled(exp * Big(params.act16_multiplier), -params.act16_shift);
    row.exp16.push_back(Small(Clamp(HalfEven(scaled), -32768, 32767)));
    row.exps.push_back(Big(row.exp16.back()));
    sum += row.exp16.back();
  }
  const mpz_class factor = Floor(Ratio(Power2(32), sum));
  for (const std::int64_t exp16 : row.exp16) {
    const mpq_class y = Scaled(Big(exp16) * factor, extra_bits - 24);
    row.y.push_back(Small(Clamp(rounded ? HalfUp(y) : Floor(y), 0, 255)));
  }
  return row;
}

}  // namespace

DerivedRow Derive(const Scores& scores, const IbertSoftmaxParams& params) {
  return DeriveIbert(scores, params, false, 0);
}

DerivedRow Derive(const Scores& scores, const IbertRnSoftmaxParams& params) {
  return DeriveIbert(scores, params, true, params.extra_bits);
}

DerivedRow Derive(const Scores& scores, const LogIntSoftmaxParams& params) {
  const std::vector<mpz_class> exps = Exponentials(scores, params.exp);
  mpz_class sum = 0;
  for (const mpz_class& exp : exps) sum += exp;
  const std::int64_t zero = std::int64_t{1} << params.code_bits;
  DerivedRow row;
  for (const mpz_class& exp : exps) {
    row.exp_int.push_back(Small(exp));
    row.y.push_back(DeriveLogCode(sum, exp, zero));
  }
  row.exps = exps;
  return row;
}

std::int64_t DeriveLogCode(const mpz_class& whole, const mpz_class& exp, std::int64_t zero) {
  if (exp == 0) return zero;
  const mpz_class ratio = HalfEven(Ratio(whole, exp));
  std::int64_t log = 0;
  while (Power2(log + 1) <= ratio) ++log;
  if (mpq_class(ratio - Power2(log)) >= Scaled(1, log - 1)) ++log;
  return std::min(log, zero);
}

namespace {

// Constants of a real score scale 0.6931 / k, or anywhere in their legal ranges.
IbertExp DrawExp(Comparison& comparison) {
  IbertExp exp;
  if (comparison.Between(0, 3) > 0) {
    const std::int64_t k = comparison.Between(1, 26000) >> comparison.Between(0, 13);
    exp.x0 = static_cast<std::int32_t>(-std::max<std::int64_t>(k, 1));
    exp.b = std::int64_t{-exp.x0} * 39060 / 10000;
    exp.c = std::max<std::int64_t>(1, std::int64_t{exp.x0} * exp.x0 * 58120 / 10000);
    return exp;
  }
  exp.x0 = static_cast<std::int32_t>(comparison.Corner(-(1 << 20), -1));
  exp.b = comparison.Corner(-(std::int64_t{exp.x0} + 1), (1 << 23) - 1);
  exp.c = comparison.Corner(1, (std::int64_t{1} << 33) - 1);
  exp.n = static_cast<int>(comparison.Corner(0, 30));
  return exp;
}

// M16 / 2^k16 that turns the maximum's exponential into `target` or a little more or less.
template <typename Params>
void SetAct16(Params& params, std::int64_t target) {
  const mpq_class factor = Ratio(Big(target), Big(params.exp.c) * Power2(params.exp.n));
  while (Scaled(factor, params.act16_shift) < mpq_class(Power2(30))) ++params.act16_shift;
  params.act16_multiplier =
      Small(Clamp(HalfEven(Scaled(factor, params.act16_shift)), Power2(30), Power2(31) - 1));
}

template <typename Params>
void CompareIbertSoftmax(Comparison& comparison) {
  constexpr bool rounded = std::is_same_v<Params, IbertRnSoftmaxParams>;
  for (int i = 0; i < 150; ++i) {
    Params params{.exp = DrawExp(comparison)};
    // Powers of two bring exact halves in the last step, other targets the rest.
    SetAct16(params, comparison.Between(0, 2) == 0 ? std::int64_t{1} << comparison.Between(0, 14)
                                                   : comparison.Corner(1, 70000));
    if constexpr (rounded) params.extra_bits = static_cast<int>(comparison.Between(0, 7));
    const int bits =
        comparison.Between(0, 1) == 0 ? 8 : static_cast<int>(comparison.Between(2, 32));
    const Scores scores = DrawScores(comparison, bits, i % 16 == 0 ? 1024 : 70);
    CompareSoftmax(comparison, scores, params);
  }
  // Half the polynomial: every other value is an exact half in (5.6).
  Params halves{.exp = {.x0 = -40, .b = 39, .c = 4001, .n = 1},
                .act16_multiplier = std::int64_t{1} << 30,
                .act16_shift = 32};
  for (std::int64_t c = 4001; c < 4005; ++c) {
    halves.exp.c = c;
    Scores scores;
    for (std::int32_t x = -45; x <= 0; ++x) scores.push_back(x);
    CompareSoftmax(comparison, scores, halves);
  }
  // 2^m equal scores with exp16 = 2^14: y = 2^(8 + j - m) exactly, so m = 9 + j is one half.
  for (int m = 0; m <= 11; ++m) {
    Params power{.exp = {.x0 = -8, .b = 31, .c = 256, .n = 22},
                 .act16_multiplier = std::int64_t{1} << 30,
                 .act16_shift = 46};
    if constexpr (rounded) power.extra_bits = m % 3;
    const Scores scores(std::size_t{1} << m, 5);
    CompareSoftmax(comparison, scores, power);
  }
}

}  // namespace

void CompareIbert(Comparison& comparison) { CompareIbertSoftmax<IbertSoftmaxParams>(comparison); }
void CompareIbertRounded(Comparison& comparison) {
  CompareIbertSoftmax<IbertRnSoftmaxParams>(comparison);
}

void CompareLogInt(Comparison& comparison) {
  for (int i = 0; i < 150; ++i) {
    LogIntSoftmaxParams params{.exp = DrawExp(comparison)};
    params.code_bits = static_cast<int>(comparison.Corner(1, 8));
    const int bits =
        comparison.Between(0, 1) == 0 ? 8 : static_cast<int>(comparison.Between(2, 32));
    const Scores scores = DrawScores(comparison, bits, i % 16 == 0 ? 1024 : 70);
    CompareSoftmax(comparison, scores, params);
  }
  // k below the maximum is half of it: `high` maxima and `low` halves give every sum that is a
  // multiple of one half, and (5.11)'s own ties R = 3 2^(L-1).
  const LogIntSoftmaxParams params{.exp = {.x0 = -9, .b = 35, .c = 470, .n = 30}};
  for (std::size_t high = 1; high <= 14; ++high) {
    for (std::size_t low = 0; low <= 9; ++low) {
      Scores scores(high, 0);
      scores.insert(scores.end(), low, -9);
      CompareSoftmax(comparison, scores, params);
    }
  }
}

}  // namespace qsim::derivation
