#include "golden/ops/requantize.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "tests/golden/oracle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::Exercised;
using testing::OracleRequantize;
using testing::OracleResult;

constexpr std::int32_t kMaxM = std::numeric_limits<std::int32_t>::max();

// Checks one value in every mode against the 128-bit derivation.
void CheckValue(std::int64_t x, Multiplier scale, std::int64_t addend, std::int32_t zero,
                QuantRange range, Exercised* exercised = nullptr) {
  for (const Rounding rounding : kAllRoundings) {
    const OracleResult expected =
        OracleRequantize(Int128{x} * scale.m + addend, scale.shift, zero, rounding, range);
    std::int64_t saturated = 0;
    EXPECT_EQ(RequantizeValue(x, scale, addend, zero, rounding, range, &saturated), expected.y)
        << x << " * " << scale.m << " + " << addend << " >> " << scale.shift << " + " << zero << " "
        << Name(rounding);
    EXPECT_EQ(saturated, expected.saturated() ? 1 : 0);
    EXPECT_EQ(RequantizeValue(x, scale, addend, zero, rounding, range), expected.y);
    if (exercised != nullptr) exercised->Include(expected);
  }
}

TEST(Requantize, CornersOfEveryOperand) {
  const std::int64_t x_limit = std::int64_t{1} << 31;
  const std::int64_t addend_limit = std::int64_t{1} << 61;
  for (const std::int64_t x : {-x_limit, -x_limit + 1, std::int64_t{-1}, std::int64_t{0},
                               std::int64_t{1}, std::int64_t{32767}, x_limit - 1, x_limit}) {
    for (const std::int32_t m : {-kMaxM, -65535, -1, 1, 2, 32768, 65535, 1 << 30, kMaxM}) {
      for (const int shift : {0, 1, 2, 15, 16, 31, 32, 47, 61, 62}) {
        for (const std::int64_t addend :
             {-addend_limit, std::int64_t{0}, std::int64_t{1}, addend_limit}) {
          for (const std::int32_t zero : {-65536, -128, 0, 255, 65536}) {
            CheckValue(x, {m, shift}, addend, zero, {-128, 127});
            CheckValue(x, {m, shift}, addend, zero, {-32768, 32767});
          }
        }
      }
    }
  }
}

TEST(Requantize, EverySixteenBitAccumulator) {
  for (const Multiplier scale : {Multiplier{40503, 22}, Multiplier{-40503, 22}, Multiplier{1, 8},
                                 Multiplier{-1, 8}, Multiplier{3, 1}, Multiplier{65535, 31}}) {
    for (std::int64_t x = -32768; x <= 32767; x += 1) {
      CheckValue(x, scale, 0, 3, {0, 255});
    }
  }
}

TEST(Requantize, RandomOperands) {
  testing::SeededRandom random;
  Exercised exercised;
  for (int i = 0; i < 100000; ++i) {
    const std::int64_t x = random.Between(std::numeric_limits<std::int32_t>::min(),
                                          std::numeric_limits<std::int32_t>::max()) >>
                           random.Between(0, 24);
    std::int32_t m = static_cast<std::int32_t>(random.Between(1, kMaxM) >> random.Between(0, 30));
    if (m == 0) m = 1;
    if (i % 3 == 0) m = -m;
    const int shift = static_cast<int>(random.Between(0, 62));
    std::int64_t addend = i % 2 == 0
                              ? 0
                              : random.Between(-(std::int64_t{1} << 61), std::int64_t{1} << 61) >>
                                    random.Between(0, 60);
    // The sum that lies half a step above a small output.
    if (i % 10 == 0 && shift > 0 && shift < 54) {
      addend = (2 * random.Between(-90, 90) + 1) * (std::int64_t{1} << (shift - 1)) - x * m;
      if (std::abs(addend) > std::int64_t{1} << 61) continue;
    }
    const auto zero = static_cast<std::int32_t>(random.Between(-300, 300));
    CheckValue(x, {m, shift}, addend, zero, {-128, 127}, &exercised);
  }
  exercised.ExpectEach(5000);
}

TEST(Requantize, OperandsThatLeave64BitsThrow) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_THROW(RequantizeValue(huge, {kMaxM, 0}, 0, 0, Rounding::kFloor, {}),
               std::invalid_argument);
  EXPECT_THROW(RequantizeValue(huge, {1, 0}, huge, 0, Rounding::kFloor, {}), std::invalid_argument);
  EXPECT_THROW(
      RequantizeValue(std::numeric_limits<std::int64_t>::max(), {1, 0}, 0, 1, Rounding::kFloor, {}),
      std::invalid_argument);
  EXPECT_THROW(RequantizeValue(1, {1, 63}, 0, 0, Rounding::kFloor, {}), std::invalid_argument);
  EXPECT_THROW(RequantizeValue(1, {1, -1}, 0, 0, Rounding::kFloor, {}), std::invalid_argument);
}

// Every layout against per-element ChannelOf.
TEST(Requantize, ChannelLayouts) {
  testing::SeededRandom random;
  for (const ChannelLayout layout :
       {ChannelLayout{1, 1, 24}, ChannelLayout{6, 4, 1}, ChannelLayout{1, 3, 8},
        ChannelLayout{2, 3, 4}, ChannelLayout{5, 1, 1}}) {
    const auto size = static_cast<std::size_t>(layout.size());
    const auto channels = static_cast<std::size_t>(layout.channels);
    std::vector<std::int32_t> in(size), out(size);
    std::vector<Multiplier> scale(channels);
    std::vector<std::int32_t> zero(channels);
    for (auto& v : in) v = static_cast<std::int32_t>(random.Between(-100000, 100000));
    for (std::size_t c = 0; c < channels; ++c) {
      scale[c] = {static_cast<std::int32_t>(random.Between(32768, 65535)), 24};
      zero[c] = static_cast<std::int32_t>(random.Between(-9, 9));
    }
    for (const bool per_channel : {false, true}) {
      RequantizeParams params;
      params.layout = layout;
      params.scale = per_channel ? std::span<const Multiplier>(scale) : std::span(scale).first(1);
      params.zero = per_channel ? std::span<const std::int32_t>(zero) : std::span(zero).first(1);
      params.input_zero = 17;
      std::int64_t expected_saturated = 0;
      const std::int64_t saturated = Requantize(in, params, out);
      for (std::size_t i = 0; i < size; ++i) {
        const std::int64_t channel = layout.ChannelOf(static_cast<std::int64_t>(i));
        EXPECT_EQ(out[i],
                  RequantizeValue(in[i] - 17, params.ScaleOf(channel), 0, params.ZeroOf(channel),
                                  params.rounding, params.range, &expected_saturated));
      }
      EXPECT_EQ(saturated, expected_saturated);
    }
  }
}

// A tensor has no addend: with a shift of 1 every odd value is a tie, and the smallest one would
// show.
TEST(Requantize, WholeTensorOfTies) {
  std::vector<std::int32_t> in(401), out(401);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::int32_t>(i) - 200;
  const std::vector<Multiplier> scale = {{1, 1}};
  const std::vector<std::int32_t> zero = {-2};
  for (const Rounding rounding : kAllRoundings) {
    const RequantizeParams params{.layout = {1, 1, 401},
                                  .scale = scale,
                                  .zero = zero,
                                  .rounding = rounding,
                                  .range = {-90, 90}};
    std::int64_t saturated = 0;
    const std::int64_t counted = Requantize(in, params, out);
    for (std::size_t i = 0; i < in.size(); ++i) {
      const OracleResult expected = OracleRequantize(in[i], 1, -2, rounding, params.range);
      EXPECT_EQ(out[i], expected.y) << in[i] << " " << Name(rounding);
      saturated += expected.saturated();
    }
    EXPECT_EQ(counted, saturated);
    EXPECT_GT(saturated, 0);
  }
}

TEST(Requantize, ExtremeAccumulatorAndInputZeroStayDefined) {
  const std::vector<std::int32_t> in = {std::numeric_limits<std::int32_t>::min(),
                                        std::numeric_limits<std::int32_t>::max()};
  std::vector<std::int32_t> out(2);
  const std::vector<Multiplier> scale = {{kMaxM, 0}};
  const std::vector<std::int32_t> zero = {65536};
  RequantizeParams params{.layout = {1, 1, 2}, .scale = scale, .zero = zero};
  for (const std::int32_t input_zero : {in[0], 0, in[1]}) {
    params.input_zero = input_zero;
    EXPECT_GE(Requantize(in, params, out), 1);
  }
}

TEST(Requantize, WrongSizesThrow) {
  const std::vector<std::int32_t> in(6);
  std::vector<std::int32_t> out(6);
  const std::vector<Multiplier> scale(2);
  const std::vector<std::int32_t> zero(2);
  const RequantizeParams good{.layout = {3, 2, 1}, .scale = scale, .zero = zero};
  EXPECT_EQ(Requantize(in, good, out), 0);
  RequantizeParams bad = good;
  bad.layout = {2, 2, 1};
  EXPECT_THROW(Requantize(in, bad, out), std::invalid_argument);
  bad.layout = {-3, -2, 1};
  EXPECT_THROW(Requantize(in, bad, out), std::invalid_argument);
  bad.layout = {std::int64_t{1} << 32, std::int64_t{1} << 32, 6};
  EXPECT_THROW(Requantize(in, bad, out), std::invalid_argument);
  bad.layout = {2, 3, 1};
  EXPECT_THROW(Requantize(in, bad, out), std::invalid_argument);
  bad = good;
  bad.zero = {};
  EXPECT_THROW(Requantize(in, bad, out), std::invalid_argument);
  EXPECT_THROW(Requantize(in, good, std::span(out).first(5)), std::invalid_argument);
}

}  // namespace
}  // namespace qsim::testing
