// The named requantizers: tie tables, edges and rejections by hand. derivation compares them
// with their equations, tests/conform with their authors' own code.
#include "golden/ops/requant/scheme.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>
#include <stdexcept>
#include <vector>

#include "golden/ops/requant/cmsisnn.h"
#include "golden/ops/requant/deeploy.h"
#include "golden/ops/requant/ibert.h"
#include "golden/ops/requant/ita.h"
#include "golden/ops/requant/tflite.h"
#include "golden/ops/requant/tosa.h"
#include "golden/ops/requantize.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

constexpr std::int32_t kLowest = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kHighest = std::numeric_limits<std::int32_t>::max();

// The results for -1.5, -0.5, 0.5 and 1.5; `of(n)` requantizes n / 2.
std::array<std::int64_t, 4> Ties(const std::function<std::int64_t(std::int64_t)>& of) {
  return {of(-3), of(-1), of(1), of(3)};
}

using Table = std::array<std::int64_t, 4>;
constexpr Table kUp = {-1, 0, 1, 2};
constexpr Table kAway = {-2, -1, 1, 2};
constexpr Table kEven = {-2, 0, 0, 2};
constexpr Table kFloor = {-2, -1, 0, 1};

// The tie tables of docs/numerics.md sections 4.6 to 4.14.
TEST(RequantSchemes, TieTables) {
  // A tie of the first rounding goes up, one of the second away from zero.
  EXPECT_EQ(Ties([](auto n) { return SaturatingRoundingDoublingHighMul(n, 1 << 30); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return RoundingDivideByPowerOfTwo(n, 1); }), kAway);
  EXPECT_EQ(Ties([](auto n) { return TfliteDoubleRounding(n, 1 << 30, 0); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return TfliteDoubleRounding(2 * n, 1 << 30, -1); }), kAway);
  EXPECT_EQ(Ties([](auto n) { return TfliteSingleRounding(n, 1 << 30, 0); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return TfliteSingleRounding(2 * n, 1 << 30, -1); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return TosaScale32(n, 1 << 30, 31, false); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return TosaScale32(2 * n, 1 << 30, 32, false); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return TosaScale32(n, 1 << 30, 31, true); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return TosaScale32(2 * n, 1 << 30, 32, true); }), kAway);
  EXPECT_EQ(Ties([](auto n) { return TosaScale16(n, 1 << 14, 15); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return CmsisnnRequantizeS64(n, 1 << 14, 0); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return CmsisnnRequantizeS64(2 * n, 1 << 14, -1); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return static_cast<std::int64_t>(ItaRequantize(n, 64, 7)); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return ItaRtlRequantize(n, 64, 7); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return RequantShift(n, 128, 0, 8, true); }), kUp);
  EXPECT_EQ(Ties([](auto n) { return RequantShift(n, 128, 0, 8, false); }), kFloor);
  EXPECT_EQ(Ties([](auto n) { return DyadicRequantize(n, {1 << 30, 31}, 8); }), kEven);
  EXPECT_EQ(Ties([](auto n) {
              return DyadicResidual(n, {1 << 30, 31}, 0, {1 << 30, 31}, 8);
            }),
            kEven);
}

// By the scheme and the program's one way to count shifts.
TEST(RequantSchemes, TieTablesByScheme) {
  // Beyond a shift of 31, where double rounding rounds twice; half_even is round_shift's.
  const std::vector<std::pair<RequantScheme, Table>> wide = {
      {RequantScheme::kRoundShift, kEven},
      {RequantScheme::kTfliteDouble, kAway},
      {RequantScheme::kTfliteSingle, kUp},
      {RequantScheme::kTosaScale32, kUp},
      {RequantScheme::kTosaScale32Double, kAway}};
  for (const auto& [scheme, table] : wide) {
    const RequantScheme named = scheme;
    EXPECT_EQ(Ties([&](auto n) {
                return RequantizeScaled(named, Rounding::kHalfEven, 2 * n, {1 << 30, 32}, 0);
              }),
              table)
        << Name(scheme);
  }
  const std::vector<std::pair<RequantScheme, Table>> narrow = {
      {RequantScheme::kTosaScale16, kUp},   {RequantScheme::kIta, kUp},
      {RequantScheme::kItaRtl, kUp},        {RequantScheme::kRequantShift, kFloor},
      {RequantScheme::kIbertDyadic, kEven}, {RequantScheme::kCmsisnnS64, kUp}};
  for (const auto& [scheme, table] : narrow) {
    const RequantScheme named = scheme;
    EXPECT_EQ(Ties([&](auto n) {
                return RequantizeScaled(named, Rounding::kFloor, n, {64, 7}, 0);
              }),
              table)
        << Name(scheme);
  }
  EXPECT_EQ(
      Ties([](auto n) {
        return RequantizeScaled(RequantScheme::kRequantShift, Rounding::kHalfUp, n, {64, 7}, 0);
      }),
      kUp);
}

TEST(RequantSchemes, TfliteEdges) {
  // The one product of int32 that saturates, and its neighbours.
  EXPECT_EQ(SaturatingRoundingDoublingHighMul(kLowest, kLowest), kHighest);
  EXPECT_EQ(SaturatingRoundingDoublingHighMul(kLowest, kLowest + 1), kHighest);
  EXPECT_EQ(SaturatingRoundingDoublingHighMul(kLowest + 1, kLowest + 1), kHighest - 1);
  EXPECT_EQ(SaturatingRoundingDoublingHighMul(kLowest, kHighest), -std::int64_t{kHighest});
  EXPECT_EQ(TfliteDoubleRounding(kLowest, kLowest, 0), kHighest);
  EXPECT_EQ(TfliteSingleRounding(kLowest, kLowest, 0), std::int64_t{1} << 31);
  // A left shift that leaves int32 is exact, and saturates upward only.
  EXPECT_EQ(TfliteDoubleRounding(1 << 20, 1 << 30, 30), kHighest);
  EXPECT_EQ(TfliteDoubleRounding(-(1 << 20), 1 << 30, 30), -(std::int64_t{1} << 49));
  EXPECT_EQ(TfliteSingleRounding(1 << 20, 1 << 30, 30), std::int64_t{1} << 49);
  // The first rounding makes the second's tie: 0.49999... becomes 0.5 and goes to 1.
  EXPECT_EQ(TfliteDoubleRounding(1, kHighest, -1), 1);
  EXPECT_EQ(TfliteSingleRounding(1, kHighest, -1), 0);
  EXPECT_EQ(TfliteDoubleRounding(-1, kHighest, -1), -1);
  EXPECT_EQ(TfliteDoubleRounding(-1, 1 << 30, -1), 0);
  // Shifts beyond int32.
  EXPECT_EQ(TfliteDoubleRounding(kHighest, kHighest, -31), 1);
  EXPECT_EQ(TfliteDoubleRounding(kLowest, kHighest, -31), -1);
  EXPECT_EQ(TfliteDoubleRounding(kHighest, kHighest, -32), 0);
  EXPECT_EQ(TfliteSingleRounding(std::int64_t{1} << 31, kHighest, 31),
            (std::int64_t{1} << 62) - (std::int64_t{1} << 31));
  EXPECT_THROW(TfliteDoubleRounding(0, 1, 32), std::invalid_argument);
  EXPECT_THROW(TfliteSingleRounding(0, 1, -63), std::invalid_argument);
  EXPECT_THROW(TfliteDoubleRounding((std::int64_t{1} << 31) + 1, 1, 0), std::invalid_argument);
  EXPECT_THROW(TfliteSingleRounding(-(std::int64_t{1} << 31) - 1, 1, 0), std::invalid_argument);
}

TEST(RequantSchemes, TosaEdges) {
  // The first rounding starts above a shift of 31, and goes away from zero.
  EXPECT_EQ(TosaScale32(1, kHighest, 32, true), 1);
  EXPECT_EQ(TosaScale32(1, kHighest, 32, false), 0);
  EXPECT_EQ(TosaScale32(0, kHighest, 32, true), 0);
  EXPECT_EQ(TosaScale32(-1, kHighest, 32, true), -1);
  EXPECT_EQ(TosaScale32(-2, 1 << 30, 32, true), -1);
  EXPECT_EQ(TosaScale32(-1, 1 << 30, 31, true), 0);
  EXPECT_EQ(TosaScale32(kLowest, kLowest, 2, true), std::int64_t{1} << 60);
  EXPECT_EQ(TosaScale32(kLowest, kHighest, 62, true), -1);
  EXPECT_EQ(TosaScale32(kLowest, kHighest, 62, false), -1);
  EXPECT_THROW(TosaScale32(1, 1, 1, false), std::invalid_argument);
  EXPECT_THROW(TosaScale32(1, 1, 63, false), std::invalid_argument);
  EXPECT_THROW(TosaScale32((std::int64_t{1} << 31) + 1, 1, 2, false), std::invalid_argument);
  constexpr std::int64_t kWide = std::int64_t{1} << 47;
  EXPECT_EQ(TosaScale16(kWide - 1, 32767, 62), 1);
  EXPECT_EQ(TosaScale16(-kWide, 32767, 46), -65534);
  EXPECT_THROW(TosaScale16(kWide + 1, 1, 2), std::invalid_argument);
  EXPECT_THROW(TosaScale16(1, 32768, 2), std::invalid_argument);
  EXPECT_THROW(TosaScale16(1, -32768, 2), std::invalid_argument);
  EXPECT_THROW(TosaScale16(1, 1, 1), std::invalid_argument);
}

TEST(RequantSchemes, CmsisnnEdges) {
  constexpr std::int64_t kWide = std::int64_t{1} << 47;
  EXPECT_EQ(CmsisnnRequantizeS64(kWide, 32767, 14), kWide / 2 * 32767);
  EXPECT_EQ(CmsisnnRequantizeS64(1, 1, 14), 1);
  EXPECT_EQ(CmsisnnRequantizeS64(-1, 1, 14), 0);
  EXPECT_EQ(CmsisnnRequantizeS64(-kWide, 32767, -48), 0);
  EXPECT_THROW(CmsisnnRequantizeS64(1, 1, 15), std::invalid_argument);
  EXPECT_THROW(CmsisnnRequantizeS64(1, 1, -49), std::invalid_argument);
  EXPECT_THROW(CmsisnnRequantizeS64(1, 32768, 0), std::invalid_argument);
  EXPECT_THROW(CmsisnnRequantizeS64(kWide + 1, 1, 0), std::invalid_argument);
}

TEST(RequantSchemes, ItaEdges) {
  const auto ita = [](std::int64_t v, int shift) {
    return static_cast<std::int64_t>(ItaRequantize(v, 1, shift));
  };
  // 2^-23 lifts a value that is one step below a tie from a shift of 23 on.
  for (const int shift : {22, 23, 24, 30}) {
    const std::int64_t half = std::int64_t{1} << (shift - 1);
    EXPECT_EQ(ita(half, shift), 1);
    EXPECT_EQ(ita(half - 1, shift), shift >= 23 ? 1 : 0) << shift;
    EXPECT_EQ(ita(-half, shift), 0);
    EXPECT_EQ(ita(-half - 1, shift), shift >= 23 ? 0 : -1) << shift;
    EXPECT_EQ(ItaRtlRequantize(half - 1, 1, shift), 0);
  }
  // Exactly 2^-23 and no more.
  EXPECT_EQ(ita((1 << 23) - 2, 24), 1);
  EXPECT_EQ(ita((1 << 23) - 3, 24), 0);
  EXPECT_EQ(ita(-5, 0), -5);
  EXPECT_EQ(ita(std::numeric_limits<std::int64_t>::max(), 255), 0);
  EXPECT_EQ(ita(std::numeric_limits<std::int64_t>::min(), 64), 0);
  EXPECT_EQ(ita(std::numeric_limits<std::int64_t>::min(), 63), -1);
  EXPECT_THROW(ita(1, 256), std::invalid_argument);
  EXPECT_THROW(ita(1, -1), std::invalid_argument);
  EXPECT_THROW(ItaRtlRequantize((std::int64_t{1} << 31) + 1, 1, 0), std::invalid_argument);
  EXPECT_THROW(ItaRtlRequantize(1, 1, 63), std::invalid_argument);
}

TEST(RequantSchemes, RequantShiftEdges) {
  // No rounding constant at a shift of 0, and the addend comes before the shift.
  EXPECT_EQ(RequantShift(-7, 3, 2, 0, true), -19);
  EXPECT_EQ(RequantShift(1, 1, 7, 4, true), 1);
  EXPECT_EQ(RequantShift(1, 1, 7, 4, false), 0);
  EXPECT_EQ(RequantShift(1, 1, 6, 4, true), 0);
  EXPECT_EQ(RequantShift(kLowest, kLowest, 0, 62, true), 1);
  EXPECT_EQ(RequantShift(kLowest, kHighest, 0, 62, false), -1);
  EXPECT_THROW(RequantShift(1, 1, 0, 63, true), std::invalid_argument);
  EXPECT_THROW(RequantShift(1, 1, 0, -1, true), std::invalid_argument);
  EXPECT_THROW(RequantShift(std::numeric_limits<std::int64_t>::max(), 2, 0, 0, false),
               std::invalid_argument);
}

TEST(RequantSchemes, DyadicEdges) {
  constexpr std::int64_t kTwo31 = std::int64_t{1} << 31;
  EXPECT_EQ(DyadicRequantize(5, {kTwo31, 31}, 8), 5);
  EXPECT_EQ(DyadicRequantize(5, {-kTwo31, 31}, 8), -5);
  EXPECT_EQ(DyadicRequantize(128, {kTwo31, 31}, 8), 127);
  EXPECT_EQ(DyadicRequantize(-129, {kTwo31, 31}, 8), -128);
  EXPECT_EQ(DyadicRequantize(kLowest, {kTwo31, 63}, 32), 0);  // -1/2
  EXPECT_EQ(DyadicRequantize(kLowest, {kTwo31, 62}, 32), -1);
  EXPECT_EQ(DyadicRequantize(kHighest, {kTwo31, 1105}, 32), 0);
  EXPECT_EQ(DyadicRequantize(1, {1 << 30, -31}, 32), kHighest);
  EXPECT_EQ(DyadicRequantize(3, {1, -2}, 8), 12);
  // Each product is rounded by itself: 1/2 and 1/2 are 0 and 0, and only the sum is clamped.
  EXPECT_EQ(DyadicResidual(1, {1 << 30, 31}, 1, {1 << 30, 31}, 8), 0);
  EXPECT_EQ(DyadicResidual(3, {1 << 30, 31}, 3, {1 << 30, 31}, 8), 4);
  EXPECT_EQ(DyadicResidual(200, {kTwo31, 31}, -100, {kTwo31, 31}, 8), 100);
  EXPECT_THROW(DyadicRequantize(1, {kTwo31 + 1, 31}, 8), std::invalid_argument);
  EXPECT_THROW(DyadicRequantize(1, {1, -32}, 8), std::invalid_argument);
  EXPECT_THROW(DyadicRequantize(1, {1, 1106}, 8), std::invalid_argument);
  EXPECT_THROW(DyadicRequantize(1, {1, 1}, 0), std::invalid_argument);
  EXPECT_THROW(DyadicRequantize(1, {1, 1}, 33), std::invalid_argument);
}

TEST(RequantSchemes, LimitsAreChecked) {
  for (const RequantScheme scheme : kAllRequantSchemes) {
    const RequantLimits limits = LimitsOf(scheme);
    const auto check = [&](std::int64_t m, int shift, std::int64_t addend) {
      CheckRequantScheme(scheme, Rounding::kHalfUp, {static_cast<std::int32_t>(m), shift}, addend);
    };
    const std::int64_t max_addend = limits.addend == AddendUse::kNone ? 0
                                    : limits.addend == AddendUse::kAfterShift
                                        ? 1 << 16
                                        : std::int64_t{1} << 61;
    for (const std::int32_t m : {limits.min_multiplier, limits.max_multiplier}) {
      for (const int shift : {limits.min_shift, limits.max_shift}) {
        for (const std::int64_t addend : {-max_addend, max_addend}) {
          EXPECT_NO_THROW(check(m, shift, addend)) << Name(scheme);
          // Whatever the limits allow can be computed.
          for (const std::int64_t v : {-(std::int64_t{1} << 31), std::int64_t{1} << 31}) {
            EXPECT_NO_THROW(RequantizeScaled(scheme, Rounding::kHalfUp, v, {m, shift}, addend));
          }
        }
        EXPECT_THROW(check(m, shift, max_addend + 1), std::invalid_argument) << Name(scheme);
        EXPECT_THROW(check(m, shift, -max_addend - 1), std::invalid_argument) << Name(scheme);
      }
      EXPECT_THROW(check(m, limits.min_shift - 1, 0), std::invalid_argument) << Name(scheme);
      EXPECT_THROW(check(m, limits.max_shift + 1, 0), std::invalid_argument) << Name(scheme);
    }
    EXPECT_THROW(check(std::int64_t{limits.min_multiplier} - 1, 20, 0), std::invalid_argument);
    if (limits.max_multiplier < kHighest) {
      EXPECT_THROW(check(limits.max_multiplier + 1, 20, 0), std::invalid_argument);
    }
  }
  EXPECT_NO_THROW(CheckRequantScheme(RequantScheme::kRequantShift, Rounding::kFloor, {}, 0));
  EXPECT_THROW(CheckRequantScheme(RequantScheme::kRequantShift, Rounding::kHalfEven, {}, 0),
               std::invalid_argument);
  EXPECT_THROW(LimitsOf(static_cast<RequantScheme>(99)), std::invalid_argument);
}

// What the RTL and the reports rely on: one rounding shift does the same, and where it does not,
// some value shows it.
TEST(RequantSchemes, EquivalentRounding) {
  testing::SeededRandom random;
  for (const RequantScheme scheme : kAllRequantSchemes) {
    const RequantLimits limits = LimitsOf(scheme);
    for (const Rounding rounding : {Rounding::kHalfUp, Rounding::kFloor}) {
      for (int shift = limits.min_shift; shift <= limits.max_shift; ++shift) {
        std::int64_t differences = 0;
        for (int i = 0; i < 300; ++i) {
          std::int32_t m = limits.max_multiplier;
          if (i % 6 == 1) m = 1;
          if (i % 6 == 4) m = std::min(1 << random.Between(0, 30), limits.max_multiplier / 2 + 1);
          if (i % 3 == 2) {
            m = static_cast<std::int32_t>(
                random.Between(limits.min_multiplier, limits.max_multiplier));
          }
          // v m near a small multiple of half a step.
          const Int128 half = shift == 0 ? Int128{1} : Int128{1} << (shift - 1);
          Int128 wanted = half * random.Between(-5, 5) / (m == 0 ? 1 : m) + random.Between(-1, 1);
          if (wanted < kLowest || wanted > kHighest) wanted = random.Between(kLowest, kHighest);
          const auto v = static_cast<std::int64_t>(wanted);
          const std::int64_t named = RequantizeScaled(scheme, rounding, v, {m, shift}, 0);
          const std::int64_t once = RoundShift(v * m, shift, EquivalentRounding(scheme, rounding));
          if (scheme == RequantScheme::kTfliteDouble && once >= kHighest) continue;
          differences += named != once;
        }
        if (HasEquivalentRounding(scheme, shift)) {
          EXPECT_EQ(differences, 0) << Name(scheme) << " shift " << shift;
        } else if (shift <= 50 && !(scheme == RequantScheme::kIta && shift > 30)) {
          EXPECT_GT(differences, 0) << Name(scheme) << " shift " << shift;
        }
      }
    }
  }
}

TEST(RequantSchemes, NamesRoundTrip) {
  for (const RequantScheme scheme : kAllRequantSchemes) {
    EXPECT_FALSE(Name(scheme).empty());
    EXPECT_EQ(FromName<RequantScheme>(Name(scheme)), scheme);
  }
  EXPECT_EQ(Name(RequantScheme::kRoundShift), "round_shift");
  EXPECT_EQ(Name(RequantScheme::kTosaScale32Double), "tosa_scale32_double");
  EXPECT_EQ(Name(RequantScheme::kCmsisnnS64), "cmsisnn_s64");
  EXPECT_EQ(FromName<RequantScheme>("tflite"), std::nullopt);
}

// ITA's addend comes after the shift, RequantShift's before it; channels choose theirs.
TEST(RequantSchemes, TensorAddends) {
  const std::vector<std::int32_t> in = {10, 10, -10, -10};
  std::vector<std::int32_t> out(4);
  const std::vector<Multiplier> scale = {{1, 2}, {3, 2}};
  const std::vector<std::int32_t> zero = {1};
  const std::vector<std::int64_t> addend = {0, 2};
  RequantizeParams params{.layout = {2, 2, 1},
                          .scale = scale,
                          .zero = zero,
                          .scheme = RequantScheme::kIta,
                          .addend = addend};
  EXPECT_EQ(Requantize(in, params, out), 0);
  EXPECT_EQ(out, (std::vector<std::int32_t>{4, 11, -1, -4}));
  params.scheme = RequantScheme::kRequantShift;
  EXPECT_EQ(Requantize(in, params, out), 0);
  EXPECT_EQ(out, (std::vector<std::int32_t>{4, 9, -1, -6}));
  params.rounding = Rounding::kFloor;
  EXPECT_EQ(Requantize(in, params, out), 0);
  EXPECT_EQ(out, (std::vector<std::int32_t>{3, 9, -2, -6}));
  params.scheme = RequantScheme::kTfliteSingle;
  EXPECT_THROW(Requantize(in, params, out), std::invalid_argument);  // it has no addend
  params.addend = {};
  EXPECT_EQ(Requantize(in, params, out), 0);
  const std::vector<std::int64_t> three = {0, 0, 0};
  params.scheme = RequantScheme::kRequantShift;
  params.addend = three;
  EXPECT_THROW(Requantize(in, params, out), std::invalid_argument);
}

}  // namespace
}  // namespace qsim::testing
