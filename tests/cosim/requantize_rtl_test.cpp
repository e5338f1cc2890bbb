// The requantizer and the residual add against the oracle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "sim/cosim/lanes_unit.h"
#include "sim/error.h"
#include "tests/cosim/cosim_test_support.h"

namespace qsim::cosim {
namespace {

constexpr std::uint64_t kLimit = 1'000'000;
constexpr QuantRange kWide{INT32_MIN, INT32_MAX};

std::vector<int> BuiltLanes() {
  std::set<int> lanes;
  for (const ArrayShape shape : BuiltArrays()) lanes.insert(shape.cols);
  return {lanes.begin(), lanes.end()};
}

// One value of each kind in every lane.
struct Case {
  std::int32_t x = 0;
  std::int32_t x_zero = 0;
  Multiplier scale;
  std::int64_t addend = 0;
  std::int32_t zero = 0;
  QuantRange range = kWide;
};

class RequantizeRtlTest : public ::testing::TestWithParam<int> {
 protected:
  struct Saturated {
    int low = 0;
    int high = 0;
  };

  // Runs the cases, several to a beat, and compares value and flag with the oracle. Cases of a call
  // share x_zero and range. Counts the saturated ones.
  Saturated Check(RequantizeUnit& unit, const std::vector<Case>& cases, Rounding rounding,
                  StallGenerator stalls = {}) {
    const auto lanes = static_cast<std::size_t>(unit.lanes());
    Saturated count;
    for (std::size_t first = 0; first < cases.size(); first += lanes) {
      std::vector<Multiplier> scale(lanes);
      std::vector<std::int32_t> zero(lanes);
      std::vector<std::int32_t> x(lanes);
      std::vector<std::int64_t> addend(lanes);
      std::vector<std::int32_t> y(lanes);
      std::vector<std::uint8_t> saturated(lanes);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const Case& c = cases[std::min(first + lane, cases.size() - 1)];
        scale[lane] = c.scale;
        zero[lane] = c.zero;
        x[lane] = c.x;
        addend[lane] = c.addend;
      }
      const RequantizeRun run{{cases[first].x_zero, rounding, cases[first].range, scale, zero, x},
                              addend};
      RunCost cost;
      unit.Run(run, stalls, kLimit, y, saturated, &cost);
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const Case& c = cases[std::min(first + lane, cases.size() - 1)];
        bool flag = false;
        const std::int32_t expected =
            oracle::Requantize(std::int64_t{c.x} - c.x_zero, c.scale.m, c.scale.shift, c.addend,
                               c.zero, rounding, c.range, &flag);
        EXPECT_EQ(y[lane], expected)
            << Name(rounding) << " x " << c.x << " x_zero " << c.x_zero << " M " << c.scale.m
            << " S " << c.scale.shift << " addend " << c.addend << " z " << c.zero;
        EXPECT_EQ(saturated[lane] != 0, flag) << Name(rounding) << " x " << c.x;
        if (flag && first + lane < cases.size()) {
          ++(expected == c.range.qmin ? count.low : count.high);
        }
      }
    }
    return count;
  }
};

// docs/numerics.md (2.2), in the RTL.
TEST_P(RequantizeRtlTest, TieTable) {
  const auto unit = MakeRequantizeUnit(GetParam());
  const std::vector<std::pair<Rounding, std::array<std::int32_t, 4>>> table = {
      {Rounding::kHalfUp, {-1, 0, 1, 2}},     {Rounding::kHalfAway, {-2, -1, 1, 2}},
      {Rounding::kHalfEven, {-2, 0, 0, 2}},   {Rounding::kFloor, {-2, -1, 0, 1}},
      {Rounding::kTowardZero, {-1, 0, 0, 1}},
  };
  for (const auto& [rounding, expected] : table) {
    for (const int shift : {1, 2, 7, 30}) {
      for (std::size_t i = 0; i < 4; ++i) {
        // (2 i - 3) halves.
        const std::int32_t halves = static_cast<std::int32_t>(2 * i) - 3;
        const auto lanes = static_cast<std::size_t>(GetParam());
        const std::vector<Multiplier> scale(lanes, Multiplier{1 << (shift - 1), shift});
        const std::vector<std::int32_t> zero(lanes, 0);
        const std::vector<std::int32_t> x(lanes, halves);
        std::vector<std::int32_t> y(lanes);
        std::vector<std::uint8_t> saturated(lanes);
        StallGenerator stalls;
        RunCost cost;
        unit->Run({{0, rounding, kWide, scale, zero, x}}, stalls, kLimit, y, saturated, &cost);
        EXPECT_THAT(y, ::testing::Each(expected[i])) << Name(rounding) << " " << halves << "/2";
      }
    }
  }
}

TEST_P(RequantizeRtlTest, EveryRoundingAroundEveryTie) {
  const auto unit = MakeRequantizeUnit(GetParam());
  for (const Rounding rounding : kAllRoundings) {
    std::vector<Case> cases;
    for (int shift = 0; shift <= 30; ++shift) {
      const std::int64_t half = shift == 0 ? 0 : std::int64_t{1} << (shift - 1);
      for (std::int64_t odd = -5; odd <= 5; ++odd) {
        for (std::int64_t nudge = -1; nudge <= 1; ++nudge) {
          const std::int64_t x = odd * half + nudge;
          if (x < INT32_MIN || x > INT32_MAX) continue;
          cases.push_back({.x = static_cast<std::int32_t>(x), .scale = {1, shift}});
        }
      }
    }
    ASSERT_GT(cases.size(), 800U);
    Check(*unit, cases, rounding);
  }
}

TEST_P(RequantizeRtlTest, Extremes) {
  const auto unit = MakeRequantizeUnit(GetParam());
  constexpr std::int64_t kAddend = std::int64_t{1} << 61;
  for (const Rounding rounding : kAllRoundings) {
    std::vector<Case> cases;
    for (const std::int32_t x : {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX}) {
      for (const std::int32_t m : {INT32_MIN + 1, -65535, -1, 1, 32768, INT32_MAX}) {
        for (const int shift : {0, 1, 31, 61, 62}) {
          for (const std::int64_t addend : {-kAddend, std::int64_t{0}, kAddend}) {
            for (const std::int32_t zero : {-65536, 0, 65536}) {
              cases.push_back(
                  {.x = x, .scale = {m, shift}, .addend = addend, .zero = zero, .range = kWide});
            }
          }
        }
      }
    }
    const Saturated saturated = Check(*unit, cases, rounding);
    EXPECT_GT(saturated.low, 100);
    EXPECT_GT(saturated.high, 100);
  }
}

TEST_P(RequantizeRtlTest, RandomCasesSaturateAtBothEnds) {
  testing::SeededRandom random;
  const auto unit = MakeRequantizeUnit(GetParam());
  for (const Rounding rounding : kAllRoundings) {
    for (const QuantRange range : {QuantRange{-128, 127}, QuantRange{0, 255}, QuantRange{-8, 7},
                                   QuantRange{-32768, 32767}}) {
      const auto x_zero = static_cast<std::int32_t>(random.Between(-255, 255));
      std::vector<Case> cases;
      for (int i = 0; i < 200; ++i) {
        Case c;
        c.x = static_cast<std::int32_t>(random.Between(-(1 << 20), 1 << 20));
        c.x_zero = x_zero;
        c.scale.m = static_cast<std::int32_t>(random.Between(32768, 65535));
        if (random.Between(0, 3) == 0) c.scale.m = -c.scale.m;
        c.scale.shift = static_cast<int>(random.Between(16, 36));
        c.zero = static_cast<std::int32_t>(random.Between(range.qmin, range.qmax));
        c.range = range;
        cases.push_back(c);
      }
      const Saturated saturated = Check(*unit, cases, rounding, StallGenerator(0.3, random.seed()));
      EXPECT_GT(saturated.low, 10);
      EXPECT_GT(saturated.high, 10);
      EXPECT_LT(saturated.low + saturated.high, static_cast<int>(cases.size()));
    }
  }
}

TEST_P(RequantizeRtlTest, ResidualAdd) {
  testing::SeededRandom random(7);
  const auto unit = MakeResidualAddUnit(GetParam());
  const auto lanes = static_cast<std::size_t>(unit->lanes());
  int saturated_count = 0;
  int compared = 0;
  for (const Rounding rounding : kAllRoundings) {
    for (const double stall : {0.0, 0.4}) {
      for (const bool extreme : {false, true}) {
        const std::size_t beats = 9;
        std::vector<std::int32_t> a(beats * lanes), b(beats * lanes), a_m(lanes), b_m(lanes);
        const std::int32_t m_max = extreme ? INT32_MAX : 65535;
        for (auto& m : a_m) m = static_cast<std::int32_t>(random.Between(-m_max, m_max));
        for (auto& m : b_m) m = static_cast<std::int32_t>(random.Between(-m_max, m_max));
        a_m[0] = b_m[0] = m_max;
        for (auto& v : a) {
          v = static_cast<std::int32_t>(extreme ? random.Between(INT32_MIN, INT32_MAX)
                                                : random.Between(-(1 << 18), 1 << 18));
        }
        for (auto& v : b) v = static_cast<std::int32_t>(random.Between(-32768, 65535));
        a[0] = extreme ? INT32_MIN : 0;
        b[0] = -32768;
        b[lanes] = 65535;
        ResidualAddRun run;
        run.x_zero = extreme ? 0 : static_cast<std::int32_t>(random.Between(-128, 255));
        run.b_zero = static_cast<std::int32_t>(random.Between(-32768, 65535));
        const auto shift =
            static_cast<int>(extreme ? random.Between(0, 62) : random.Between(14, 22));
        const auto out_zero = static_cast<std::int32_t>(random.Between(-32768, 32767));
        std::vector<Multiplier> scale;
        for (const std::int32_t m : a_m) scale.push_back({m, shift});
        const std::vector<std::int32_t> zero(lanes, out_zero);
        run.scale = scale;
        run.zero = zero;
        run.rounding = rounding;
        run.range = {-32768, 32767};
        run.b_multiplier = b_m;
        run.x = a;
        run.b = b;
        std::vector<std::int32_t> y(a.size());
        std::vector<std::uint8_t> saturated(a.size());
        StallGenerator stalls(stall, random.seed());
        RunCost cost;
        unit->Run(run, stalls, kLimit, y, saturated, &cost);
        EXPECT_EQ(cost.stalled_cycles > 0, stall > 0);
        for (std::size_t i = 0; i < a.size(); ++i) {
          bool flag = false;
          const std::int64_t addend = (std::int64_t{b[i]} - run.b_zero) * b_m[i % lanes];
          ASSERT_EQ(y[i], oracle::Requantize(std::int64_t{a[i]} - run.x_zero, a_m[i % lanes], shift,
                                             addend, out_zero, rounding, run.range, &flag))
              << i << " " << Name(rounding);
          ASSERT_EQ(saturated[i] != 0, flag);
          saturated_count += flag ? 1 : 0;
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(saturated_count, compared / 20);
  EXPECT_LT(saturated_count, compared);
}

TEST_P(RequantizeRtlTest, OneBeatPerCycleWithoutStalls) {
  const auto unit = MakeRequantizeUnit(GetParam());
  const auto lanes = static_cast<std::size_t>(GetParam());
  const std::vector<Multiplier> scale(lanes);
  const std::vector<std::int32_t> zero(lanes, 0);
  for (const std::size_t beats : {1U, 2U, 100U}) {
    const std::vector<std::int32_t> x(beats * lanes, 5);
    std::vector<std::int32_t> y(x.size());
    std::vector<std::uint8_t> saturated(x.size());
    StallGenerator stalls;
    RunCost cost;
    unit->Run({{0, Rounding::kHalfUp, kWide, scale, zero, x}}, stalls, kLimit, y, saturated, &cost);
    EXPECT_EQ(cost.cycles, beats + 3);
  }
}

// What a block is told wrongly is an error of one line, nothing of it on stdout; the block
// recovers.
TEST_P(RequantizeRtlTest, AnIllegalCommandIsAnError) {
  const auto unit = MakeRequantizeUnit(GetParam());
  const auto lanes = static_cast<std::size_t>(GetParam());
  const std::vector<std::int32_t> zero(lanes, 0);
  const auto run = [&](Multiplier lane_scale, std::size_t beats) {
    const std::vector<Multiplier> scale(lanes, lane_scale);
    const std::vector<std::int32_t> x(beats * lanes, 5);
    std::vector<std::int32_t> y(x.size());
    std::vector<std::uint8_t> saturated(x.size());
    StallGenerator stalls;
    RunCost cost;
    unit->Run({{0, Rounding::kHalfUp, kWide, scale, zero, x}}, stalls, kLimit, y, saturated, &cost);
    return y;
  };
  const auto error_of = [&](Multiplier scale, std::size_t beats) -> std::string {
    try {
      run(scale, beats);
    } catch (const InternalError& error) {
      return error.what();
    }
    return "";
  };
  ::testing::internal::CaptureStdout();
  EXPECT_THAT(error_of({1, 63}, 1),
              ::testing::MatchesRegex(".*:[0-9]+: Assertion failed in "
                                      "rtl.requantize.gen_contract.0..ShiftLegal: a shift is above "
                                      "62"));
  EXPECT_THAT(error_of({1, 0}, 0), ::testing::HasSubstr("BeatsLegal: a command without beats"));
  EXPECT_EQ(error_of({1, 0}, 65536), "65536 does not fit a command field of 16 bits");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_THAT(run({1, 0}, 65535), ::testing::Each(5));
}

INSTANTIATE_TEST_SUITE_P(Built, RequantizeRtlTest, ::testing::ValuesIn(BuiltLanes()),
                         [](const auto& param) { return "lanes" + std::to_string(param.param); });

}  // namespace
}  // namespace qsim::cosim
