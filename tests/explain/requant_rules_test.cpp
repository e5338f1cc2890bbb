// Plants one rule at a time with an implementation of its own and expects it to be named first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "sim/explain/explain_report.h"
#include "sim/explain/search.h"
#include "tests/explain/oracle.h"

namespace qsim::testing {
namespace {

using Compute = std::function<std::int64_t(const Element&)>;

Explanation ExplainImplementation(const RequantSpec& spec, const Compute& compute) {
  const std::vector<std::int64_t> actual = Implementation(spec, compute);
  return Explain(RequantModel(spec, actual), actual, "y", "golden");
}

// The planted rule is first and explains everything, or it has the outputs of the first one; each
// that shares its outputs has an input that separates them in the oracle's own arithmetic too.
void ExpectFirst(const Explanation& e, const std::string& id) {
  ASSERT_EQ(e.verdict, Explanation::Verdict::kExplained) << ExplanationText(e);
  std::vector<std::string> named = {e.findings[0].id};
  for (const Tie& tie : e.ties) named.push_back(tie.id);
  EXPECT_THAT(named, ::testing::Contains(id)) << ExplanationText(e);
  EXPECT_GE(static_cast<double>(e.explained), 0.95 * static_cast<double>(e.mismatches))
      << ExplanationText(e);
  EXPECT_EQ(e.broken, 0) << ExplanationText(e);
  EXPECT_GT(e.mismatches, 0);
}

std::int64_t Clamp8(const mpz_class& value) { return Clamped(value, -128, 127); }

class TieRule : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

// Shifts so small that ties occur: with odd M every 2^S-th accumulator is one.
TEST_P(TieRule, IsNamed) {
  const auto& [golden, planted] = GetParam();
  if (golden == planted) GTEST_SKIP() << "the golden rule";
  SeededRandom random(11);
  const RequantSpec spec =
      MakeSpec(random, {.rows = 512, .multiplier_bits = 8, .shift = 8, .rounding = golden});
  const Explanation e = ExplainImplementation(spec, [&, rule = planted](const Element& el) {
    return Clamp8(Rounded(el.product(), el.step(), rule));
  });
  ExpectFirst(e, "rounding=" + planted);
}

INSTANTIATE_TEST_SUITE_P(
    All, TieRule,
    ::testing::Combine(::testing::Values("half_up", "half_even", "half_away", "floor"),
                       ::testing::Values("half_up", "half_away", "half_even", "floor",
                                         "toward_zero", "half_down", "half_toward_zero", "ceil",
                                         "away_from_zero", "floor_plus_one",
                                         "half_then_toward_zero")),
    [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param); });

struct Planted {
  const char* name;
  Layer setup;
  const char* id;
  Compute compute;
};

mpz_class HalfUp(const Element& el) { return Rounded(el.product(), el.step(), "half_up"); }

mpz_class DropLow(const mpz_class& m, int bits, bool round) {
  return Rounded(m, PowerOfTwo(bits), round ? "half_up" : "floor") * PowerOfTwo(bits);
}

// Multipliers of 31 bits, as gemmlowp has them, or of 16.
constexpr Layer kM31 = {.multiplier_bits = 31, .per_channel = true, .shift = 37};
constexpr Layer kM31Tensor = {.multiplier_bits = 31, .per_channel = false, .shift = 38};
constexpr Layer kM16 = {.multiplier_bits = 16, .per_channel = true, .shift = 24};
// The two bits beside the eighth are set: seven, eight and nine bits are three multipliers.
constexpr Layer kM16Tensor = {
    .multiplier_bits = 16, .per_channel = false, .shift = 23, .set_bits = 0x180};
constexpr Layer kZero = {.multiplier_bits = 8, .per_channel = true, .shift = 8, .zero = 13};
constexpr Layer kZeroEven = {.multiplier_bits = 8, .shift = 8, .zero = 13, .rounding = "half_even"};
constexpr Layer kZeroAway = {.multiplier_bits = 8, .shift = 8, .zero = 13, .rounding = "half_away"};
constexpr Layer kManyTies = {.multiplier_bits = 31, .per_channel = true, .shift = 40};

Compute DoubleRounded(int at, const char* first, const char* last) {
  return [=](const Element& el) {
    return Clamp8(
        Rounded(Rounded(el.product(), PowerOfTwo(at), first), PowerOfTwo(el.shift - at), last));
  };
}

const Planted kPlanted[] = {
    {"TfliteDouble", kM31, "rounding=tflite_double", DoubleRounded(31, "half_up", "half_away")},
    {"TfliteDoubleTensor", kM31Tensor, "rounding=tflite_double",
     DoubleRounded(31, "half_up", "half_away")},
    {"TwiceHalfUp", kM31Tensor, "rounding=half_up at bit 31, then half_up",
     DoubleRounded(31, "half_up", "half_up")},
    {"TwiceHalfEven", kManyTies, "rounding=half_even at bit 36, then half_even",
     DoubleRounded(36, "half_even", "half_even")},
    {"FloorM16", kM16, "rounding=floor",
     [](const Element& el) { return Clamp8(Rounded(el.product(), el.step(), "floor")); }},
    {"Width12", kM16, "multiplier=rounded_to_12_bits",
     [](const Element& el) {
       return Clamp8(Rounded(el.x * DropLow(el.m, 4, true), el.step(), "half_up"));
     }},
    {"Width8Truncated", kM16Tensor, "multiplier=truncated_to_8_bits",
     [](const Element& el) {
       return Clamp8(Rounded(el.x * DropLow(el.m, 8, false), el.step(), "half_up"));
     }},
    {"Width16Of31", kM31, "multiplier=rounded_to_16_bits",
     [](const Element& el) {
       return Clamp8(Rounded(el.x * DropLow(el.m, 15, true), el.step(), "half_up"));
     }},
    {"SignedMultiplier", kM16, "multiplier=signed_16_bits",
     [](const Element& el) {
       return Clamp8(Rounded(el.x * (el.m - 65536), el.step(), "half_up"));
     }},
    {"ShiftTooSmall", kM16, "shift=minus_one",
     [](const Element& el) {
       return Clamp8(Rounded(el.product(), PowerOfTwo(el.shift - 1), "half_up"));
     }},
    {"ZeroBeforeShiftEven", kZeroEven, "zero=before_shift",
     [](const Element& el) {
       return Clamp8(Rounded(el.product() + el.zero * el.step(), el.step(), "half_even"));
     }},
    {"ZeroBeforeShiftAway", kZeroAway, "zero=before_shift",
     [](const Element& el) {
       return Clamp8(Rounded(el.product() + el.zero * el.step(), el.step(), "half_away"));
     }},
    {"ZeroOmitted", kZero, "zero=omitted", [](const Element& el) { return Clamp8(HalfUp(el)); }},
    {"ZeroSubtracted", kZero, "zero=subtracted",
     [](const Element& el) { return Clamp8(HalfUp(el) - el.zero); }},
    {"ZeroBeforeMultiply", kZero, "zero=before_multiply",
     [](const Element& el) {
       return Clamp8(Rounded((el.x + el.zero) * el.m, el.step(), "half_up"));
     }},
    {"Wrap", kM16, "overflow=wrap", [](const Element& el) { return Wrapped(HalfUp(el), 8); }},
    {"Symmetric", kM16, "overflow=symmetric",
     [](const Element& el) { return Clamped(HalfUp(el), -127, 127); }},
    {"AccWrap16",
     {.multiplier_bits = 8, .per_channel = true, .shift = 16, .deviation = 20000},
     "accumulator=wrap_16",
     [](const Element& el) {
       return Clamp8(Rounded(Big(Wrapped(el.x, 16)) * el.m, el.step(), "half_up"));
     }},
    {"AccSaturate18",
     {.multiplier_bits = 16, .per_channel = true, .shift = 27, .deviation = 90000},
     "accumulator=saturate_18",
     [](const Element& el) {
       return Clamp8(Rounded(Big(Clamped(el.x, -131072, 131071)) * el.m, el.step(), "half_up"));
     }},
    {"AccUnsigned", kM16, "sign=accumulator_unsigned",
     [](const Element& el) {
       return Clamp8(
           Rounded((el.x < 0 ? el.x + PowerOfTwo(32) : el.x) * el.m, el.step(), "half_up"));
     }},
    {"ProductWrap32", kM16, "accumulator=product_wrap_32",
     [](const Element& el) {
       return Clamp8(Rounded(Big(Wrapped(el.product(), 32)), el.step(), "half_up"));
     }},
};

class PlantedRule : public ::testing::TestWithParam<Planted> {};

TEST_P(PlantedRule, IsNamedFirst) {
  SeededRandom random(7);
  Layer setup = GetParam().setup;
  setup.rows = 1024;
  const RequantSpec spec = MakeSpec(random, setup);
  ExpectFirst(ExplainImplementation(spec, GetParam().compute), GetParam().id);
}

INSTANTIATE_TEST_SUITE_P(All, PlantedRule, ::testing::ValuesIn(kPlanted),
                         [](const auto& test) { return test.param.name; });

// ITA's Python model adds 2^-23 beside the half: products just below a tie, which have to be solved
// for.
TEST(Ita, IsNamed) {
  RequantSpec spec;
  constexpr std::int64_t kMultiplier = 5;
  constexpr int kShift = 24;
  for (std::int64_t x = -20000000; x < 20000000; ++x) {
    const std::int64_t rest = (x * kMultiplier) & ((1 << kShift) - 1);
    if (rest > (1 << (kShift - 1)) - 12 && rest < (1 << (kShift - 1)) + 12) spec.x.push_back(x);
  }
  for (std::int64_t x = -20000000; x < 20000000; x += 7919) spec.x.push_back(x);
  spec.shape = {static_cast<std::int64_t>(spec.x.size())};
  spec.axis_names = {"element"};
  spec.layout = {1, 1, spec.shape[0]};
  spec.multiplier = {kMultiplier};
  spec.shift = {kShift};
  spec.zero = {0};
  const Explanation e = ExplainImplementation(spec, [](const Element& el) {
    // floor(p / 2^S + 1/2 + 2^-23)
    const mpz_class scaled = el.product() * PowerOfTwo(23) + el.step() * PowerOfTwo(22) + el.step();
    return Clamp8(Rounded(scaled, el.step() * PowerOfTwo(23), "floor"));
  });
  ExpectFirst(e, "rounding=ita");
}

TEST(ParameterOrder, IsNamed) {
  SeededRandom random(3);
  const RequantSpec spec = MakeSpec(random, {.multiplier_bits = 16, .shift = 23});
  const auto with_channel = [&](const std::function<std::size_t(std::size_t)>& map) {
    return ExplainImplementation(spec, [&, map](const Element& el) {
      return Clamp8(Rounded(el.x * Big(spec.multiplier[map(el.channel)]), el.step(), "half_up"));
    });
  };
  ExpectFirst(with_channel([](std::size_t c) { return (c + 1) % 64; }), "parameters=next");
  ExpectFirst(with_channel([](std::size_t c) { return (c + 63) % 64; }), "parameters=previous");
  ExpectFirst(with_channel([](std::size_t c) { return 63 - c; }), "parameters=reversed");
  ExpectFirst(with_channel([](std::size_t) { return 0; }), "parameters=first");
  ExpectFirst(with_channel([](std::size_t c) { return c % 16 * 4 + c / 16; }),
              "parameters=interleaved_4");
  const Explanation rows = ExplainImplementation(spec, [&](const Element& el) {
    return Clamp8(Rounded(el.x * Big(spec.multiplier[el.index / 64 % 64]), el.step(), "half_up"));
  });
  ExpectFirst(rows, "parameters=along_row");
}

TEST(ElementOrder, IsNamed) {
  SeededRandom random(4);
  RequantSpec spec = MakeSpec(random, {.rows = 64, .multiplier_bits = 16, .shift = 23});
  const auto golden = Implementation(spec, [](const Element& el) { return Clamp8(HalfUp(el)); });
  std::vector<std::int64_t> transposed(golden.size());
  std::vector<std::int64_t> late(golden.size());
  for (std::size_t i = 0; i < golden.size(); ++i) {
    transposed[i] = golden[i % 64 * 64 + i / 64];
    late[i] = golden[i < 64 ? i : i - 64];
  }
  ExpectFirst(Explain(RequantModel(spec, transposed), transposed, "y", ""), "order=transposed");
  ExpectFirst(Explain(RequantModel(spec, late), late, "y", ""), "order=row_late");
}

TEST(Pairs, AreNamed) {
  SeededRandom random(5);
  const RequantSpec spec = MakeSpec(random, {.rows = 512, .multiplier_bits = 16, .shift = 23});
  ExpectFirst(ExplainImplementation(spec,
                                    [](const Element& el) {
                                      return Wrapped(Rounded(el.product(), el.step(), "floor"), 8);
                                    }),
              "rounding=floor overflow=wrap");
  ExpectFirst(ExplainImplementation(spec,
                                    [](const Element& el) {
                                      return Clamp8(Rounded(el.x * DropLow(el.m, 6, false),
                                                            el.step(), "toward_zero"));
                                    }),
              "rounding=toward_zero multiplier=truncated_to_10_bits");
}

TEST(EqualOutputs, NeedNoExplanation) {
  SeededRandom random(6);
  const RequantSpec spec = MakeSpec(random, {});
  const Explanation e =
      ExplainImplementation(spec, [](const Element& el) { return Clamp8(HalfUp(el)); });
  EXPECT_EQ(e.verdict, Explanation::Verdict::kEqual);
  EXPECT_EQ(e.mismatches, 0);
}

TEST(Garbage, HasNoCulprit) {
  SeededRandom random(8);
  const RequantSpec spec = MakeSpec(random, {.rows = 512});
  const auto noise = [&](std::int64_t one_in, std::int64_t reach) {
    return ExplainImplementation(spec, [&, one_in, reach](const Element& el) {
      const std::int64_t y = Clamp8(HalfUp(el));
      if (random.Between(1, one_in) != 1) return y;
      const std::int64_t step = random.Between(1, reach);
      return random.Between(0, 1) == 0 ? y - step : y + step;
    });
  };
  for (const Explanation& e : {noise(1, 200), noise(2, 3), noise(100, 1), noise(10, 1)}) {
    EXPECT_EQ(e.verdict, Explanation::Verdict::kUnexplained) << ExplanationText(e);
    EXPECT_FALSE(e.observations.empty());
    EXPECT_FALSE(e.differences.empty());
  }
}

// A few broken elements beside a planted rule change neither its name nor the count.
TEST(Noise, DoesNotHideTheRule) {
  SeededRandom random(9);
  const RequantSpec spec = MakeSpec(random, {.rows = 512, .multiplier_bits = 16, .shift = 23});
  const Explanation e = ExplainImplementation(spec, [&](const Element& el) {
    const std::int64_t y = Clamp8(Rounded(el.product(), el.step(), "floor"));
    return random.Between(0, 199) == 0 ? random.Between(-128, 127) : y;
  });
  ASSERT_EQ(e.verdict, Explanation::Verdict::kExplained) << ExplanationText(e);
  EXPECT_EQ(e.findings[0].id, "rounding=floor");
  EXPECT_GE(static_cast<double>(e.explained), 0.95 * static_cast<double>(e.mismatches));
}

}  // namespace
}  // namespace qsim::testing
