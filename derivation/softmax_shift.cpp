// Section 5.5 in arbitrary precision: I-ViT's exponential and Shiftmax.
#include <algorithm>
#include <string>
#include <utility>

#include "derivation/exact.h"
#include "derivation/softmax_rows.h"
#include "golden/ops/softmax/shift_exp.h"

namespace qsim::derivation {
namespace {

mpz_class Exponential(const mpz_class& x, const mpz_class& x0, int n) {
  const mpz_class scaled = x + Floor(Ratio(x, 2)) - Floor(Ratio(x, 16));
  const mpz_class limit = n * x0;
  const mpz_class d = scaled > limit ? scaled : limit;
  const mpz_class q = Floor(Ratio(-d, -x0));
  const mpz_class r = d - q * x0;
  const mpz_class value = Floor(Scaled(Ratio(r, 2) - x0, n - q.get_si()));
  return value > 0 ? value : mpz_class(0);
}

}  // namespace

DerivedRow Derive(const Scores& scores, const ShiftmaxParams& params) {
  const mpz_class top = *std::max_element(scores.begin(), scores.end());
  std::vector<mpz_class> exps;
  mpz_class sum = 0;
  for (const std::int32_t x : scores) {
    exps.push_back(Exponential(x - top, params.x0, params.n));
    sum += exps.back();
  }
  const mpz_class one = Power2(31) - 1;
  const mpz_class factor = Floor(Ratio(one, sum < one ? sum : one));
  DerivedRow row;
  for (const mpz_class& exp : exps) {
    row.exp_int.push_back(Small(exp));
    row.y.push_back(Small(Floor(Scaled(exp * factor, params.output_bits - 32))));
  }
  row.exps = std::move(exps);
  return row;
}

namespace {}  // namespace

void CompareShiftExp(Comparison& comparison) {
  const auto compare = [&](std::int64_t x, std::int32_t x0, int n) {
    const mpz_class exact = Exponential(Big(x), x0, n);
    const mpz_class capped = exact < Power2(62) ? exact : Power2(62);
    comparison.Check(ShiftExp(x, x0, n), Small(capped), [&] {
      return "ShiftExp of " + std::to_string(x) + " x0=" + std::to_string(x0) +
             " n=" + std::to_string(n);
    });
  };
  for (const int n : {0, 1, 15, 23, 30}) {
    for (const std::int32_t x0 : {-1, -2, -3, -16, -33, -255}) {
      for (std::int64_t x = -300; x <= 300; ++x) compare(x, x0, n);
    }
  }
  for (int i = 0; i < 5000; ++i) {
    const auto x0 =
        static_cast<std::int32_t>(comparison.Corner(INT32_MIN, -1) >> comparison.Between(0, 31));
    const int n = static_cast<int>(comparison.Corner(0, 30));
    // Wide enough to reach the cap and both sides of it, without exponents of 2^60 in GMP.
    const std::int64_t reach = std::int64_t{x0} * -200;
    compare(comparison.Corner(-reach, reach), x0, n);
    compare(comparison.Corner(-(std::int64_t{1} << 60), 0), x0, n);
  }
}

void CompareShiftmax(Comparison& comparison) {
  for (int i = 0; i < 300; ++i) {
    ShiftmaxParams own;
    if (i % 2 == 0) {
      own.x0 = static_cast<std::int32_t>(
          -1 - (comparison.Between(0, 40000) >> comparison.Between(0, 15)));
    } else {
      own.n = static_cast<int>(comparison.Corner(0, 30));
      own.output_bits = static_cast<int>(comparison.Corner(1, 16));
      const std::int64_t largest = std::min<std::int64_t>(
          ((std::int64_t{1} << (63 - own.output_bits)) - 1) >> own.n, std::int64_t{1} << 31);
      own.x0 = static_cast<std::int32_t>(comparison.Corner(-largest, -1));
    }
    const int bits =
        comparison.Between(0, 1) == 0 ? 8 : static_cast<int>(comparison.Between(2, 32));
    const Scores scores = DrawScores(comparison, bits, i % 16 == 0 ? 1024 : 70);
    CompareSoftmax(comparison, scores, own);
  }
}

}  // namespace qsim::derivation
