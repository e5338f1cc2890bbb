// Section 5.10 in arbitrary precision: a softmax whose exponential is a table.
#include <algorithm>
#include <utility>

#include "derivation/exact.h"
#include "derivation/softmax_rows.h"

namespace qsim::derivation {

DerivedRow Derive(const Scores& scores, const TableSoftmaxParams& params) {
  const mpz_class top = *std::max_element(scores.begin(), scores.end());
  const std::size_t blocks = params.exp_high.empty() ? 1 : params.exp_high.size();
  const mpz_class last = 256 * mpz_class(static_cast<unsigned long>(blocks)) - 1;
  std::vector<mpz_class> exps;
  mpz_class sum = 0;
  for (const std::int32_t x : scores) {
    const mpz_class distance = top - x;
    const auto d = static_cast<std::size_t>((distance > last ? last : distance).get_ui());
    const mpz_class low = params.exp[d % 256];
    exps.push_back(blocks == 1 ? low : HalfUp(Scaled(params.exp_high[d / 256] * low, -15)));
    sum += exps.back();
  }
  const mpz_class factor = Floor(Ratio(Power2(48), sum));
  DerivedRow row;
  for (const mpz_class& e : exps) {
    const mpz_class y = HalfUp(Scaled(e * factor, params.extra_bits - 40));
    row.y.push_back(Small(Clamp(y, 0, 255)));
  }
  row.exps = std::move(exps);
  return row;
}

namespace {

// Anything, or falling from 2^15 as an exponential does; its rate by powers of two.
std::vector<std::int32_t> DrawTable(Comparison& comparison, std::size_t entries) {
  std::vector<std::int32_t> table = {kTableExpOne};
  const std::int64_t keep = comparison.Between(0, 65536);  // of 2^16, from entry to entry
  const bool falls = comparison.Between(0, 3) > 0;
  while (table.size() < entries) {
    table.push_back(static_cast<std::int32_t>(falls ? table.back() * keep >> 16
                                                    : comparison.Corner(0, kTableExpOne)));
  }
  return table;
}

}  // namespace

void CompareTable(Comparison& comparison) {
  for (int i = 0; i < 200; ++i) {
    TableSoftmaxParams params{static_cast<int>(comparison.Between(0, 7)),
                              DrawTable(comparison, 256)};
    const bool two = comparison.Between(0, 1) == 0;
    if (two)
      params.exp_high = DrawTable(comparison, static_cast<std::size_t>(comparison.Corner(2, 256)));
    const int bits = comparison.Between(0, 4) == 0 ? static_cast<int>(comparison.Between(2, 32))
                                                   : (two ? 16 : 8);
    CompareSoftmax(comparison, DrawScores(comparison, bits, i % 16 == 0 ? 4096 : 70), params);
  }
  // 2^m equal scores: y = 2^(8 + j - m) exactly, so m = 9 + j is one half, and m = 0 saturates.
  for (int m = 0; m <= 12; ++m) {
    const TableSoftmaxParams params{m % 4, DrawTable(comparison, 256)};
    CompareSoftmax(comparison, Scores(std::size_t{1} << m, 5), params);
  }
}

}  // namespace qsim::derivation
