#include "sim/io/tensors/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

// The definition of IEEE 754 binary16, independent of the bit tricks under test.
double HalfByDefinition(unsigned code) {
  const double sign = (code & 0x8000u) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>(code >> 10 & 0x1fu);
  const double fraction = static_cast<double>(code & 0x3ffu);
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024.0 + fraction, exponent - 25);
}

TEST(HalfTest, EveryCodeWidensToItsDefinition) {
  for (unsigned code = 0; code < 65536; ++code) {
    const float value = HalfToFloat(static_cast<std::uint16_t>(code));
    const double expected = HalfByDefinition(code);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << code;
    } else {
      ASSERT_EQ(static_cast<double>(value), expected) << code;
      ASSERT_EQ(std::signbit(value), (code & 0x8000u) != 0) << code;
    }
  }
}

TEST(HalfTest, EveryCodeSurvivesTheRoundTrip) {
  for (unsigned code = 0; code < 65536; ++code) {
    const auto narrow = static_cast<std::uint16_t>(code);
    const float half = HalfToFloat(narrow);
    const float bfloat = Bfloat16ToFloat(narrow);
    if (std::isnan(half)) {
      ASSERT_TRUE(std::isnan(HalfToFloat(FloatToHalf(half)))) << code;
    } else {
      ASSERT_EQ(FloatToHalf(half), narrow) << code;
    }
    if (std::isnan(bfloat)) {
      ASSERT_TRUE(std::isnan(Bfloat16ToFloat(FloatToBfloat16(bfloat)))) << code;
    } else {
      ASSERT_EQ(FloatToBfloat16(bfloat), narrow) << code;
    }
  }
}

TEST(HalfTest, Bfloat16IsTheUpperHalfOfAFloat) {
  for (unsigned code = 0; code < 65536; ++code) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(Bfloat16ToFloat(static_cast<std::uint16_t>(code))),
              code << 16);
  }
}

// Between two neighbouring codes: below, at and above the midpoint.
template <typename Widen, typename Narrow>
void CheckRoundingBetweenNeighbours(unsigned last_finite, Widen widen, Narrow narrow) {
  for (unsigned code = 0; code < last_finite; ++code) {
    const double low = widen(static_cast<std::uint16_t>(code));
    const double high = widen(static_cast<std::uint16_t>(code + 1));
    const float middle = static_cast<float>((low + high) / 2);
    if (static_cast<double>(middle) != (low + high) / 2) continue;  // below float's own precision
    ASSERT_EQ(narrow(middle), code % 2 == 0 ? code : code + 1) << code;
    ASSERT_EQ(narrow(-middle), (code % 2 == 0 ? code : code + 1) | 0x8000u) << code;
    if (static_cast<double>(std::nextafter(middle, 0.0f)) > low) {
      ASSERT_EQ(narrow(std::nextafter(middle, 0.0f)), code) << code;
      ASSERT_EQ(narrow(std::nextafter(middle, INFINITY)), code + 1) << code;
    }
  }
}

TEST(HalfTest, NarrowingRoundsHalfToEven) {
  CheckRoundingBetweenNeighbours(0x7bff, HalfToFloat, FloatToHalf);
  CheckRoundingBetweenNeighbours(0x7f7f, Bfloat16ToFloat, FloatToBfloat16);
}

TEST(HalfTest, TooLargeBecomesInfinity) {
  EXPECT_EQ(FloatToHalf(65519.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToHalf(-INFINITY), 0xfc00);
  EXPECT_EQ(FloatToBfloat16(3.4028235e38f), 0x7f80);
}

}  // namespace
}  // namespace qsim::testing
