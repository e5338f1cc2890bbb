// Inputs that separate hypotheses really do, in arithmetic of the test's own.
#include <gtest/gtest.h>

#include <cstdio>

#include "sim/explain/explain_report.h"
#include "sim/explain/search.h"
#include "sim/explain/separation.h"
#include "tests/explain/oracle.h"

namespace qsim::testing {
namespace {

TEST(FirstInWindow, EqualsExhaustiveSearch) {
  for (std::int64_t m = 1; m <= 40; ++m) {
    for (std::int64_t a = 0; a < m; ++a) {
      for (std::int64_t low = 0; low < m; ++low) {
        for (std::int64_t high = low; high < m; ++high) {
          std::optional<std::int64_t> expected;
          for (std::int64_t x = 0; x < m && !expected; ++x)
            if (a * x % m >= low && a * x % m <= high) expected = x;
          const auto found = FirstInWindow(a, m, low, high);
          ASSERT_EQ(found.has_value(), expected.has_value()) << a << " " << m << " " << low;
          if (found) {
            ASSERT_EQ(static_cast<std::int64_t>(*found), *expected);
          }
        }
      }
    }
  }
}

std::int64_t ByRule(std::int64_t acc, std::int64_t multiplier, int shift, const std::string& rule) {
  return Clamped(Rounded(Big(acc) * Big(multiplier), PowerOfTwo(shift), rule), -128, 127);
}

// Without ties in the data, rules that differ at ties only are one answer; each comes with an
// accumulator that tells it from the first.
TEST(Ties, AreReportedWithASeparatingInput) {
  SeededRandom random(3);
  RequantSpec spec =
      MakeSpec(random, {.rows = 16, .multiplier_bits = 16, .shift = 24, .rounding = "floor"});
  spec.multiplier[5] = std::int64_t{3} << 14;  // ties every 2^9 accumulators
  const auto actual = Implementation(spec, [](const Element& el) {
    return Clamped(Rounded(el.product(), el.step(), "half_even"), -128, 127);
  });
  const Explanation e = Explain(RequantModel(spec, actual), actual, "y", "floor");
  ASSERT_EQ(e.verdict, Explanation::Verdict::kExplained) << ExplanationText(e);
  std::vector<std::string> rules = {e.findings[0].id};
  const std::string prefix = "rounding=";
  const std::string best = e.findings[0].id.substr(prefix.size());
  int separated = 0;
  for (const Tie& tie : e.ties) {
    rules.push_back(tie.id);
    const std::string rule = tie.id.substr(prefix.size());
    if (rule.find(' ') != std::string::npos || rule == "ita") continue;
    ASSERT_TRUE(tie.separation.has_value()) << ExplanationText(e);
    long acc = 0;
    std::size_t channel = 0;
    ASSERT_EQ(std::sscanf(tie.separation->input.c_str(), "accumulator %ld in channel %zu", &acc,
                          &channel),
              2);
    const std::int64_t m = spec.multiplier.at(channel);
    EXPECT_EQ(ByRule(acc, m, spec.shift[channel], best), tie.separation->first);
    EXPECT_EQ(ByRule(acc, m, spec.shift[channel], rule), tie.separation->second);
    EXPECT_NE(tie.separation->first, tie.separation->second);
    ++separated;
  }
  EXPECT_GE(separated, 3) << ExplanationText(e);
  EXPECT_NE(std::find(rules.begin(), rules.end(), "rounding=half_even"), rules.end())
      << ExplanationText(e);
}

}  // namespace
}  // namespace qsim::testing
