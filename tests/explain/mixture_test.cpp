// Two rules in one tensor: both named, and where each applies.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/explain/explain_report.h"
#include "sim/explain/search.h"
#include "tests/explain/oracle.h"

namespace qsim::testing {
namespace {

using Compute = std::function<std::int64_t(const Element&)>;

Compute Ruled(const char* rule) {
  return
      [=](const Element& el) { return Clamped(Rounded(el.product(), el.step(), rule), -128, 127); };
}

Compute TfliteDouble() {
  return [](const Element& el) {
    return Clamped(Rounded(Rounded(el.product(), PowerOfTwo(31), "half_up"),
                           PowerOfTwo(el.shift - 31), "half_away"),
                   -128, 127);
  };
}

Compute Wrapping() {
  return [](const Element& el) { return Wrapped(Rounded(el.product(), el.step(), "half_up"), 8); };
}

Explanation ExplainMixed(const RequantSpec& spec, const Compute& first, const Compute& second,
                         const std::function<bool(const Element&)>& where) {
  const auto actual =
      Implementation(spec, [&](const Element& el) { return where(el) ? first(el) : second(el); });
  return Explain(RequantModel(spec, actual), actual, "y", "golden");
}

// Both rules are named, in regions with these words, and together they explain nearly all. `same`:
// rules that are another rule in their region, whichever of the two is named.
void ExpectRegions(const Explanation& e, const std::set<std::pair<std::string, std::string>>& ids,
                   const std::map<std::string, std::string>& same = {}) {
  ASSERT_EQ(e.verdict, Explanation::Verdict::kRegions) << ExplanationText(e);
  std::set<std::pair<std::string, std::string>> found;
  for (const Part& part : e.parts) {
    const auto other = same.find(part.id);
    found.emplace(other == same.end() ? part.id : other->second, part.where);
  }
  EXPECT_EQ(found, ids) << ExplanationText(e);
  EXPECT_GE(static_cast<double>(e.explained), 0.95 * static_cast<double>(e.mismatches));
  EXPECT_EQ(e.broken, 0) << ExplanationText(e);
}

constexpr Layer kM16 = {.rows = 512, .multiplier_bits = 16, .shift = 23};
constexpr Layer kM31 = {.rows = 1024, .multiplier_bits = 31, .shift = 37};
constexpr Layer kTies = {.rows = 1024, .multiplier_bits = 8, .shift = 8};

TEST(Regions, ByChannelRange) {
  SeededRandom random(1);
  const RequantSpec spec = MakeSpec(random, kM16);
  ExpectRegions(
      ExplainMixed(spec, Ruled("floor"), Ruled("ceil"),
                   [](const Element& el) { return el.channel < 24; }),
      {{"rounding=floor", "for channel 0 to 23"}, {"rounding=ceil", "for channel 24 and up"}});
}

TEST(Regions, BesideTheGoldenRule) {
  SeededRandom random(2);
  const RequantSpec spec = MakeSpec(random, kM16);
  ExpectRegions(ExplainMixed(spec, Ruled("toward_zero"), Ruled("half_up"),
                             [](const Element& el) { return el.channel % 2 == 1; }),
                {{"rounding=toward_zero", "where the channel is odd"},
                 {"golden", "where the channel is even"}});
}

TEST(Regions, ByRowsOfRulesThatDifferRarely) {
  SeededRandom random(3);
  const RequantSpec spec = MakeSpec(random, kM31);
  const Explanation e = ExplainMixed(spec, TfliteDouble(), Ruled("floor"),
                                     [](const Element& el) { return el.index / 64 < 640; });
  ASSERT_EQ(e.verdict, Explanation::Verdict::kRegions) << ExplanationText(e);
  std::set<std::string> ids;
  for (const Part& part : e.parts) ids.insert(part.id);
  EXPECT_EQ(ids, (std::set<std::string>{"rounding=tflite_double", "rounding=floor"}))
      << ExplanationText(e);
  EXPECT_EQ(e.explained, e.mismatches) << ExplanationText(e);
}

TEST(Regions, BySign) {
  SeededRandom random(4);
  const RequantSpec spec = MakeSpec(random, kM16);
  ExpectRegions(
      ExplainMixed(spec, Wrapping(), Ruled("floor"), [](const Element& el) { return el.x < 0; }),
      {{"overflow=wrap", "where the accumulator is negative"},
       {"rounding=floor", "where the accumulator is not negative"}},
      {{"rounding=toward_zero", "rounding=floor"}});
}

TEST(Regions, OfTieRules) {
  SeededRandom random(5);
  const RequantSpec spec = MakeSpec(random, kTies);
  const Explanation e = ExplainMixed(spec, Ruled("half_away"), Ruled("half_even"),
                                     [](const Element& el) { return el.channel < 32; });
  ASSERT_EQ(e.verdict, Explanation::Verdict::kRegions) << ExplanationText(e);
  std::set<std::string> ids;
  for (const Part& part : e.parts) ids.insert(part.id);
  EXPECT_EQ(ids, (std::set<std::string>{"rounding=half_away", "rounding=half_even"}))
      << ExplanationText(e);
}

// Two roundings that alternate by no division of the elements are no rule, whichever two they are.
void ExpectFloorOrCeil(const Explanation& e) {
  EXPECT_EQ(e.verdict, Explanation::Verdict::kUnexplained) << ExplanationText(e);
  EXPECT_TRUE(e.floor_or_ceil) << ExplanationText(e);
  EXPECT_TRUE(e.parts.empty());
  EXPECT_EQ(SentenceOf(e).find("no rule: each output of y is floor or ceil"), 0U);
  EXPECT_EQ(e.observations.at(0).find("rounded up where the fraction is"), 0U);
}

TEST(FloorOrCeil, OfTwoRulesThatFollowNoDivision) {
  SeededRandom random(6);
  const RequantSpec spec = MakeSpec(random, kM16);
  ExpectFloorOrCeil(ExplainMixed(spec, Ruled("floor"), Ruled("toward_zero"),
                                 [&](const Element&) { return random.Between(0, 1) == 0; }));
}

TEST(FloorOrCeil, OfOneRuleAppliedHereAndThere) {
  SeededRandom random(7);
  const RequantSpec spec = MakeSpec(random, kM16);
  ExpectFloorOrCeil(ExplainMixed(spec, Ruled("floor"), Ruled("half_up"),
                                 [&](const Element&) { return random.Between(0, 3) == 0; }));
}

}  // namespace
}  // namespace qsim::testing
