// Section 5.7 in arbitrary precision: Deeploy's polynomial softmax.
#include <algorithm>
#include <string>
#include <utility>

#include "derivation/exact.h"
#include "derivation/softmax_rows.h"

namespace qsim::derivation {
DerivedRow Derive(const Scores& scores, const IsoftmaxParams& params) {
  const mpz_class top = *std::max_element(scores.begin(), scores.end());
  std::vector<mpz_class> exps;
  mpz_class sum = 0;
  for (const std::int32_t x : scores) {
    const mpz_class d = x - top;
    const mpz_class z = Clamp(Truncate(Ratio(-d, params.log2)), 0, 31);
    const mpz_class base = d + z * params.log2 + params.coeff_b;
    exps.push_back(Floor(Scaled(params.coeff_a * base * base + Big(params.coeff_c), -z.get_si())));
    sum += exps.back();
  }
  DerivedRow row;
  for (const mpz_class& exp : exps) {
    row.y.push_back(Small(Floor(Ratio(exp * (params.levels - 1), sum)) + params.output_offset));
  }
  row.exps = std::move(exps);
  return row;
}

namespace {}  // namespace

void CompareIsoftmax(Comparison& comparison) {
  for (int i = 0; i < 300; ++i) {
    IsoftmaxParams own;
    if (i % 2 == 0) {
      // As I-BERT's constants of a score scale ln 2 / log2.
      own.log2 = static_cast<std::int32_t>(
          1 + (comparison.Between(0, 20000) >> comparison.Between(0, 14)));
      own.coeff_a = static_cast<std::int32_t>(comparison.Between(1, 3));
      own.coeff_b = own.log2 * 195 / 100;
      own.coeff_c = std::int64_t{own.coeff_a} * own.log2 * own.log2 * 2 + 1;
      own.output_offset = -128;
    } else {
      own.coeff_a = static_cast<std::int32_t>(comparison.Corner(0, INT32_MAX));
      own.coeff_b = static_cast<std::int32_t>(comparison.Corner(-INT32_MAX, INT32_MAX));
      own.coeff_c = comparison.Corner(1, std::int64_t{1} << 62);
      own.log2 =
          static_cast<std::int32_t>(comparison.Corner(1, INT32_MAX) >> comparison.Between(0, 30));
      own.log2 = std::max(own.log2, 1);
      own.levels = static_cast<std::int32_t>(comparison.Corner(2, 65536));
      own.output_offset = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    }
    const int bits =
        comparison.Between(0, 1) == 0 ? 8 : static_cast<int>(comparison.Between(2, 32));
    const Scores scores = DrawScores(comparison, bits, i % 16 == 0 ? 1024 : 70);
    CompareSoftmax(comparison, scores, own);
  }
}

}  // namespace qsim::derivation
