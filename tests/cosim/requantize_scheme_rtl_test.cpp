// Every named requantizer on the RTL: docs/rtl.md, "Named schemes".
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "sim/cosim/lanes_unit.h"
#include "tests/cosim/cosim_test_support.h"

namespace qsim::cosim {
namespace {

class RequantizeSchemeRtlTest : public ::testing::TestWithParam<RequantScheme> {};

// A multiplier and a shift within the scheme's limits, near their ends or near where rules part.
Multiplier DrawMultiplier(testing::SeededRandom& random, const RequantLimits& limits) {
  Multiplier scale;
  switch (random.Between(0, 3)) {
    case 0:
      scale.m = limits.max_multiplier;
      break;
    case 1:
      // A power of two: exact ties.
      scale.m = std::min(1 << random.Between(0, 30), limits.max_multiplier / 2 + 1);
      break;
    default:
      scale.m =
          static_cast<std::int32_t>(random.Between(limits.min_multiplier, limits.max_multiplier));
  }
  const std::int64_t shift = random.Between(0, 1) == 0
                                 ? random.Between(limits.min_shift, limits.max_shift)
                                 : random.Between(20, 36);
  scale.shift =
      static_cast<int>(std::clamp<std::int64_t>(shift, limits.min_shift, limits.max_shift));
  return scale;
}

std::int64_t DrawAddend(testing::SeededRandom& random, AddendUse use) {
  switch (use) {
    case AddendUse::kNone:
      return 0;
    case AddendUse::kBeforeShift:
      return random.Between(-(std::int64_t{1} << 61), std::int64_t{1} << 61) >>
             random.Between(0, 60);
    case AddendUse::kAfterShift:
      return random.Between(-128, 127);
  }
  return 0;
}

// A value near a tie where m is a power of two, or any.
std::int32_t DrawValue(testing::SeededRandom& random, Multiplier scale) {
  const std::int64_t half_step =
      (std::int64_t{1} << (scale.shift == 0 ? 0 : scale.shift - 1)) / std::max(scale.m, 1);
  if (random.Between(0, 1) == 0 && half_step > 0 && half_step < (1 << 24)) {
    return static_cast<std::int32_t>(half_step * random.Between(-100, 100) + random.Between(-1, 1));
  }
  return static_cast<std::int32_t>(random.Between(INT32_MIN, INT32_MAX) >> random.Between(0, 30));
}

TEST_P(RequantizeSchemeRtlTest, EqualsGolden) {
  testing::SeededRandom random;
  const RequantScheme scheme = GetParam();
  const RequantLimits limits = LimitsOf(scheme);
  RtlOptions options;
  options.array = BuiltArrays().front();
  RtlBackend rtl(options);
  const ChannelLayout layout{13, 40, 1};
  std::int64_t inside = 0, elements = 0;
  for (int round = 0; round < 24; ++round) {
    const bool per_channel = round % 4 != 0;
    const std::size_t entries = per_channel ? 40 : 1;
    std::vector<Multiplier> scale(entries);
    std::vector<std::int32_t> zero(entries);
    std::vector<std::int64_t> addend(limits.addend == AddendUse::kNone ? 0 : entries);
    for (auto& s : scale) s = DrawMultiplier(random, limits);
    for (auto& z : zero) z = static_cast<std::int32_t>(random.Between(-128, 127));
    for (auto& a : addend) a = DrawAddend(random, limits.addend);
    const RequantizeParams params{
        .layout = per_channel ? layout : ChannelLayout{1, 1, layout.size()},
        .scale = scale,
        .zero = zero,
        .rounding = round % 2 == 0 ? Rounding::kHalfUp : Rounding::kFloor,
        .range = round % 3 == 0 ? QuantRange{-128, 127} : QuantRange{INT32_MIN, 1 << 30},
        .scheme = scheme,
        .addend = addend};
    std::vector<std::int32_t> in(static_cast<std::size_t>(layout.size()));
    for (std::size_t i = 0; i < in.size(); ++i) {
      in[i] =
          DrawValue(random, params.ScaleOf(params.layout.ChannelOf(static_cast<std::int64_t>(i))));
    }
    std::vector<std::int32_t> golden(in.size()), out(in.size());
    const std::int64_t saturated = golden::Requantize(in, params, golden);
    EXPECT_EQ(rtl.Requantize({"y"}, in, 40, params, out), saturated);
    for (std::size_t i = 0; i < in.size(); ++i) {
      const Multiplier s = params.ScaleOf(params.layout.ChannelOf(static_cast<std::int64_t>(i)));
      ASSERT_EQ(out[i], golden[i])
          << Name(scheme) << " v " << in[i] << " M " << s.m << " S " << s.shift;
    }
    elements += static_cast<std::int64_t>(in.size());
    inside += static_cast<std::int64_t>(in.size()) - saturated;
  }
  EXPECT_GT(inside, elements / 10);
}

INSTANTIATE_TEST_SUITE_P(Every, RequantizeSchemeRtlTest, ::testing::ValuesIn(kAllRequantSchemes),
                         [](const auto& scheme) { return std::string(Name(scheme.param)); });

// docs/numerics.md, the tie tables of 4.6: ties after the first rounding go away from zero, ties of
// the first rounding up.
TEST(RequantizeDoubleRounding, TieTableOnRtl) {
  const auto unit = MakeRequantizeUnit(BuiltArrays().front().cols);
  const auto lanes = static_cast<std::size_t>(unit->lanes());
  const std::vector<std::int32_t> zero(lanes, 0);
  const auto run = [&](std::int32_t x, Multiplier scale) {
    const std::vector<Multiplier> scales(lanes, scale);
    const std::vector<std::int32_t> values(lanes, x);
    std::vector<std::int32_t> y(lanes);
    std::vector<std::uint8_t> saturated(lanes);
    StallGenerator stalls;
    RunCost cost;
    RequantizeRun command;
    command.range = {INT32_MIN, INT32_MAX};
    command.scale = scales;
    command.zero = zero;
    command.x = values;
    command.double_rounding = true;
    unit->Run(command, stalls, 1000, y, saturated, &cost);
    return y.front();
  };
  // v / 2: one rounding of 2^-31, then one of 2^-1.
  EXPECT_EQ(run(-6, {1 << 30, 32}), -2);
  EXPECT_EQ(run(-2, {1 << 30, 32}), -1);
  EXPECT_EQ(run(2, {1 << 30, 32}), 1);
  EXPECT_EQ(run(6, {1 << 30, 32}), 2);
  // With no second rounding: half_up.
  EXPECT_EQ(run(-3, {1 << 30, 31}), -1);
  EXPECT_EQ(run(-1, {1 << 30, 31}), 0);
  EXPECT_EQ(run(1, {1 << 30, 31}), 1);
  EXPECT_EQ(run(3, {1 << 30, 31}), 2);
  // Just below a tie of the second rounding, the first lifts it there.
  EXPECT_EQ(run(1, {1 << 30, 32}), 1);
  EXPECT_EQ(run(-1, {1 << 30, 32}), 0);
}

}  // namespace
}  // namespace qsim::cosim
