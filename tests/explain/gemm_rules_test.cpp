// Plants one fault at a time in a matrix product of its own and expects it to be named first.
#include <gtest/gtest.h>

#include <functional>

#include "sim/explain/explain_report.h"
#include "sim/explain/gemm_model.h"
#include "sim/explain/search.h"
#include "tests/explain/oracle.h"

namespace qsim::testing {
namespace {

constexpr std::int64_t kSize = 40;

GemmSpec MakeGemm(SeededRandom& random, std::int64_t lhs_zero, std::int64_t rhs_zero) {
  GemmSpec spec;
  spec.rows = spec.depth = spec.cols = kSize;
  spec.shape = {kSize, kSize};
  spec.axis_names = {"row", "channel"};
  for (std::int64_t i = 0; i < kSize * kSize; ++i) {
    spec.lhs.push_back(static_cast<std::int32_t>(random.Between(-128, 127)));
    spec.rhs.push_back(static_cast<std::int32_t>(random.Between(-128, 127)));
  }
  for (std::int64_t n = 0; n < kSize; ++n) spec.bias.push_back(random.Between(-5000, 5000));
  spec.lhs_start = spec.rhs_start = {0};
  spec.lhs_row = spec.rhs_row = kSize;
  spec.lhs_zero = {lhs_zero};
  spec.rhs_zero.assign(kSize, rhs_zero);
  spec.acc = {32, AccPolicy::kWrap};
  return spec;
}

using Operand = std::function<std::int64_t(std::size_t, std::size_t)>;
using Sum = std::function<std::int64_t(std::int64_t bias, const std::vector<std::int64_t>& terms)>;

std::int64_t Total(std::int64_t bias, const std::vector<std::int64_t>& terms) {
  for (const std::int64_t term : terms) bias += term;
  return bias;
}

// terms[k] = lhs(m, k) * rhs(k, n)
Explanation ExplainProduct(const GemmSpec& spec, const Operand& lhs, const Operand& rhs,
                           const Sum& sum) {
  std::vector<std::int64_t> actual;
  for (std::size_t m = 0; m < kSize; ++m) {
    for (std::size_t n = 0; n < kSize; ++n) {
      std::vector<std::int64_t> terms;
      for (std::size_t k = 0; k < kSize; ++k) terms.push_back(lhs(m, k) * rhs(k, n));
      actual.push_back(sum(spec.bias[n], terms));
    }
  }
  return Explain(GemmModel(spec, actual), actual, "acc", "golden");
}

void ExpectFirst(const Explanation& e, const std::string& id) {
  ASSERT_EQ(e.verdict, Explanation::Verdict::kExplained) << ExplanationText(e);
  EXPECT_EQ(e.findings[0].id, id) << ExplanationText(e);
  EXPECT_EQ(e.explained, e.mismatches) << ExplanationText(e);
  EXPECT_EQ(e.broken, 0) << ExplanationText(e);
}

TEST(GemmRules, AreNamed) {
  SeededRandom random(1);
  const GemmSpec spec = MakeGemm(random, 0, 0);
  const Operand lhs = [&](std::size_t m, std::size_t k) {
    return std::int64_t{spec.lhs[m * kSize + k]};
  };
  const Operand rhs = [&](std::size_t k, std::size_t n) {
    return std::int64_t{spec.rhs[k * kSize + n]};
  };
  const auto explain = [&](const Operand& l, const Operand& r, const Sum& sum) {
    return ExplainProduct(spec, l, r, sum);
  };
  EXPECT_EQ(explain(lhs, rhs, Total).verdict, Explanation::Verdict::kEqual);
  ExpectFirst(
      explain([&](std::size_t m, std::size_t k) { return (lhs(m, k) + 256) % 256; }, rhs, Total),
      "lhs=unsigned");
  ExpectFirst(
      explain(
          lhs, [&](std::size_t k, std::size_t n) { return (rhs(k, n) + 256) % 256; }, Total),
      "rhs=unsigned");
  ExpectFirst(explain(
                  lhs, [&](std::size_t k, std::size_t n) { return rhs(n, k); }, Total),
              "operands=rhs_transposed");
  ExpectFirst(explain([&](std::size_t m, std::size_t k) { return lhs(k, m); }, rhs, Total),
              "operands=lhs_transposed");
  ExpectFirst(explain(lhs, rhs, [](std::int64_t, const auto& terms) { return Total(0, terms); }),
              "bias=missing");
  ExpectFirst(
      explain(lhs, rhs, [](std::int64_t b, const auto& terms) { return Total(2 * b, terms); }),
      "bias=twice");
  ExpectFirst(
      explain(lhs, rhs,
              [](std::int64_t b, const auto& terms) { return Wrapped(Big(Total(b, terms)), 16); }),
      "accumulator=wrap_16");
  ExpectFirst(explain(lhs, rhs,
                      [](std::int64_t b, const auto& terms) {
                        return Clamped(Big(Total(b, terms)), -32768, 32767);
                      }),
              "accumulator=saturate_16_at_the_end");
  ExpectFirst(explain(lhs, rhs,
                      [](std::int64_t b, const auto& terms) {
                        for (const std::int64_t term : terms)
                          b = Clamped(Big(b + term), -32768, 32767);
                        return b;
                      }),
              "accumulator=saturate_16");
  ExpectFirst(
      explain(lhs, rhs,
              [](std::int64_t b, const auto& terms) { return Total(b, terms) - terms.back(); }),
      "depth=last_missing");
}

TEST(GemmRules, OfZeroPointsAreNamed) {
  SeededRandom random(2);
  const GemmSpec spec = MakeGemm(random, 3, -7);
  const auto with_zeros = [&](std::int64_t l_zero, std::int64_t r_zero) {
    return ExplainProduct(
        spec,
        [&, l_zero](std::size_t m, std::size_t k) { return spec.lhs[m * kSize + k] - l_zero; },
        [&, r_zero](std::size_t k, std::size_t n) { return spec.rhs[k * kSize + n] - r_zero; },
        Total);
  };
  EXPECT_EQ(with_zeros(3, -7).verdict, Explanation::Verdict::kEqual);
  ExpectFirst(with_zeros(0, -7), "lhs_zero=ignored");
  ExpectFirst(with_zeros(-3, -7), "lhs_zero=added");
  ExpectFirst(with_zeros(3, 0), "rhs_zero=ignored");
  ExpectFirst(with_zeros(3, 7), "rhs_zero=added");
}

}  // namespace
}  // namespace qsim::testing
