// Multipliers and shifts against exact rational arithmetic: a double is a 53-bit integer times a
// power of two.
#include "sim/semantics/multiplier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "golden/ops/int128.h"
#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

// half_even(|r| 2^shift), exactly; values beyond 2^62 are reported as 2^62.
std::int64_t ExactRound(double r, int shift) {
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(r), &exponent);
  const auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, 53));
  const int power = exponent - 53 + shift;  // the value is mantissa * 2^power
  if (power >= 0) return power > 8 ? std::int64_t{1} << 62 : mantissa << power;
  if (power < -54) return 0;
  const std::int64_t divisor = std::int64_t{1} << -power;
  const std::int64_t floor = mantissa / divisor;
  const Int128 twice_rest = 2 * static_cast<Int128>(mantissa % divisor);
  const bool up = twice_rest > divisor || (twice_rest == divisor && floor % 2 != 0);
  return floor + (up ? 1 : 0);
}

TEST(Multiplier, IsTheBestRepresentation) {
  testing::SeededRandom random;
  int limited_by_62 = 0;
  int vanished = 0;
  int left_shift = 0;
  int carried = 0;
  for (int repeat = 0; repeat < 400000; ++repeat) {
    const int bits = static_cast<int>(random.Between(2, 31));
    const std::int64_t limit = (std::int64_t{1} << bits) - 1;
    double r = std::ldexp(static_cast<double>(random.Between(1LL << 52, (1LL << 53) - 1)),
                          static_cast<int>(random.Between(-70, 33)) - 53);
    // Ratios just below a power of two round up to one bit too many.
    if (repeat % 5 == 0)
      r = std::ldexp(1 - std::ldexp(1.0, -static_cast<int>(random.Between(1, 40))),
                     static_cast<int>(random.Between(-60, 30)));
    // Ties of the last bit.
    if (repeat % 5 == 1)
      r = std::ldexp(static_cast<double>(2 * random.Between(1, limit) + 1),
                     -static_cast<int>(random.Between(0, 62)));
    if (random.Between(0, 1) == 0) r = -r;
    Multiplier m;
    const std::string error = ErrorOf([&] { m = MultiplierFor(r, bits, "tap, channel 3"); });
    if (!error.empty()) {
      EXPECT_THAT(error, HasSubstr("tap, channel 3"));
      if (ExactRound(r, 0) > limit) {
        ++left_shift;
        EXPECT_THAT(error, HasSubstr("left shift"));
      } else {
        ++vanished;
        EXPECT_EQ(ExactRound(r, 62), 0) << r;
        EXPECT_THAT(error, HasSubstr("too small"));
      }
      continue;
    }
    const std::int64_t magnitude = std::abs(std::int64_t{m.m});
    EXPECT_EQ(m.m < 0, r < 0);
    EXPECT_EQ(magnitude, ExactRound(r, m.shift)) << r << " in " << bits << " bits";
    EXPECT_GE(magnitude, 1);
    EXPECT_LE(magnitude, limit);
    EXPECT_GE(m.shift, 0);
    EXPECT_LE(m.shift, 62);
    if (m.shift == 62) {
      ++limited_by_62;
    } else {
      EXPECT_GT(ExactRound(r, m.shift + 1), limit) << "a larger shift fits: " << r;
      carried += 2 * magnitude == limit + 1 &&
                 std::ldexp(std::fabs(r), m.shift) < static_cast<double>(magnitude);
    }
  }
  EXPECT_GT(limited_by_62, 1000);
  EXPECT_GT(vanished, 1000);
  EXPECT_GT(left_shift, 1000);
  EXPECT_GT(carried, 10) << "ratios whose multiplier would round up to 2^bits";
}

TEST(Multiplier, Limits) {
  EXPECT_EQ(MaxMultiplier(2), 3);
  EXPECT_EQ(MaxMultiplier(16), 65535);
  EXPECT_EQ(MaxMultiplier(31), INT32_MAX);
  EXPECT_EQ(MultiplierFor(1.0, 16, ""), (Multiplier{32768, 15}));
  EXPECT_EQ(MultiplierFor(3.0, 2, ""), (Multiplier{3, 0}));
  EXPECT_EQ(MultiplierFor(-0.5, 31, ""), (Multiplier{-(1 << 30), 31}));
  EXPECT_THAT(ErrorOf([] { MultiplierFor(4.0, 2, "x"); }), HasSubstr("x: the ratio of scales 4"));
  EXPECT_THAT(ErrorOf([] { MultiplierFor(0.0, 16, "x"); }), HasSubstr("too small"));
}

TEST(Multiplier, EveryPowerOfTwo) {
  for (int shift = 0; shift <= 62; ++shift) {
    const double r = std::ldexp(1.0, -shift);
    EXPECT_EQ(ShiftFor(r, ""), (Multiplier{1, shift}));
    EXPECT_EQ(ShiftFor(-r, ""), (Multiplier{-1, shift}));
    // Quotients of doubles miss the power of two by a last bit.
    EXPECT_EQ(ShiftFor(std::nextafter(r, 0), ""), (Multiplier{1, shift}));
    EXPECT_EQ(ShiftFor(std::nextafter(r, 2 * r), ""), (Multiplier{1, shift}));
    EXPECT_THROW(ShiftFor(r * 1.001, ""), InputError);
    EXPECT_THROW(ShiftFor(r * 0.75, ""), InputError);
  }
  EXPECT_THAT(ErrorOf([] { ShiftFor(2.0, "x"); }), HasSubstr("its scale is 2 times finer"));
  EXPECT_THAT(ErrorOf([] { ShiftFor(std::ldexp(1.0, -63), "x"); }), HasSubstr("shift of 63"));
}

TEST(Multiplier, CommonShiftIsTheLargestThatHoldsAll) {
  testing::SeededRandom random;
  int errors = 0;
  for (int repeat = 0; repeat < 50000; ++repeat) {
    const int bits = static_cast<int>(random.Between(2, 31));
    const std::int64_t limit = (std::int64_t{1} << bits) - 1;
    std::vector<double> ratios;
    for (int i = 0; i < 4; ++i) {
      ratios.push_back(std::ldexp(static_cast<double>(random.Between(1LL << 52, (1LL << 53) - 1)),
                                  static_cast<int>(random.Between(-6, 4)) - 53));
    }
    CommonShift common;
    if (!ErrorOf([&] { common = CommonShiftFor(ratios, bits, "residual1"); }).empty()) {
      ++errors;
      continue;
    }
    bool larger_fits = common.shift < 62;
    for (std::size_t i = 0; i < ratios.size(); ++i) {
      EXPECT_EQ(common.multipliers[i], ExactRound(ratios[i], common.shift));
      EXPECT_LE(common.multipliers[i], limit);
      EXPECT_GE(common.multipliers[i], 1);
      larger_fits = larger_fits && ExactRound(ratios[i], common.shift + 1) <= limit;
    }
    EXPECT_FALSE(larger_fits);
  }
  EXPECT_GT(errors, 100);
  EXPECT_LT(errors, 25000);
  const std::vector<double> far_apart = {1.0, 1e-9};
  EXPECT_THAT(ErrorOf([&] { CommonShiftFor(far_apart, 16, "residual1"); }),
              HasSubstr("residual1, operand 1"));
}

TEST(SnapUp, IsTheSmallestPowerOfTwoMultiple) {
  testing::SeededRandom random;
  for (int repeat = 0; repeat < 100000; ++repeat) {
    const double unit = static_cast<double>(random.Between(1, 1 << 20)) / 7.0;
    double value = static_cast<double>(random.Between(1, 1 << 30)) / 3.0;
    if (repeat % 3 == 0) value = std::ldexp(unit, static_cast<int>(random.Between(-30, 30)));
    const double snapped = SnapUp(value, unit);
    EXPECT_GE(snapped, value);
    EXPECT_LT(snapped / 2, value);
    int exponent = 0;
    EXPECT_EQ(std::frexp(snapped / unit, &exponent), 0.5) << "unit times a power of two";
    if (repeat % 3 == 0) {
      EXPECT_EQ(snapped, value);
    }
  }
}

}  // namespace
}  // namespace qsim::testing
