// Sums of rows and the division by them: docs/numerics.md section 16, by hand and at its edges.
#include "golden/ops/row_divide.h"

#include "golden/ops/column_sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

using Values = std::vector<std::int32_t>;

TEST(RowSum, AddsCodesOrWhatTheyStandFor) {
  Values sums(2);
  RowSum(Values{1, 2, 255, -4, 0, 4}, 3, OperandMode::kMultiply, sums);
  EXPECT_EQ(sums, (Values{258, 0}));
  RowSum(Values{0, 1, 16, 15, 15, 16}, 3, OperandMode::kShift, sums);
  EXPECT_EQ(sums, (Values{32768 + 16384, 2}));
  EXPECT_THROW(RowSum(Values{17, 0}, 1, OperandMode::kShift, sums), std::invalid_argument);
  EXPECT_THROW(RowSum(Values{1, 2, 3}, 2, OperandMode::kMultiply, sums), std::invalid_argument);
  Values one(1);
  EXPECT_THROW(RowSum(Values(65536, 0), 65536, OperandMode::kShift, one), std::invalid_argument);
}

TEST(ColumnSum, AddsRowsWithoutZeroPoints) {
  const Values x = {1, -20000, 2, 300, 5, 70, 7, 65535};  // 4 x 2
  Values sums(2);
  ColumnSum(x, 0, Values{0}, sums);
  EXPECT_EQ(sums, (Values{15, 45905}));
  ColumnSum(x, 1, Values{0}, sums);
  EXPECT_EQ(sums, (Values{14, 65905}));
  ColumnSum(x, 2, Values{5, -65536}, sums);
  EXPECT_EQ(sums, (Values{2, 196677}));
  ColumnSum(x, 3, Values{5}, sums);
  EXPECT_EQ(sums, (Values{2, 65530}));
  EXPECT_THROW(ColumnSum(x, 4, Values{0}, sums), std::invalid_argument);
  EXPECT_THROW(ColumnSum(x, -1, Values{0}, sums), std::invalid_argument);
  Values three(3);
  EXPECT_THROW(ColumnSum(x, 0, Values{0}, three), std::invalid_argument);
  EXPECT_THROW(ColumnSum(x, 0, Values{0, 0, 0}, sums), std::invalid_argument);
  Values one(1);
  ColumnSum(Values(32768, 65535), 0, Values{0}, one);
  EXPECT_EQ(one, (Values{2147450880}));
  EXPECT_THROW(ColumnSum(Values(32770, 65535), 0, Values{0}, one), std::invalid_argument);
}

TEST(RowReciprocal, ByHand) {
  EXPECT_EQ(RowReciprocal(1, 15, Rounding::kHalfUp), (Multiplier{32768, 0}));
  EXPECT_EQ(RowReciprocal(2, 15, Rounding::kHalfUp), (Multiplier{32768, 1}));
  EXPECT_EQ(RowReciprocal(3, 15, Rounding::kHalfUp), (Multiplier{43691, 2}));  // 43690.67
  EXPECT_EQ(RowReciprocal(3, 15, Rounding::kFloor), (Multiplier{43690, 2}));
  EXPECT_EQ(RowReciprocal(255, 15, Rounding::kHalfUp), (Multiplier{32897, 8}));  // 32896.502
  EXPECT_EQ(RowReciprocal(256, 15, Rounding::kHalfUp), (Multiplier{32768, 8}));
  // Just above a power of two the mantissa rounds up to its end.
  EXPECT_EQ(RowReciprocal((1 << 20) + 1, 15, Rounding::kHalfUp), (Multiplier{65536, 21}));
  EXPECT_EQ(RowReciprocal(INT32_MAX, 15, Rounding::kHalfUp), (Multiplier{32768, 31}));
  for (const std::int32_t nothing : {0, -1, INT32_MIN})
    EXPECT_EQ(RowReciprocal(nothing, 15, Rounding::kHalfUp), (Multiplier{32768, 0}));
  EXPECT_THROW(RowReciprocal(1, 0, Rounding::kHalfUp), std::invalid_argument);
  EXPECT_THROW(RowReciprocal(1, 30, Rounding::kHalfUp), std::invalid_argument);
}

// Every sum that a row of 1 to 4,096 codes of 8 bits can have.
TEST(RowReciprocal, IsWithinItsBound) {
  for (std::int32_t d = 1; d <= 4096 * 255; ++d) {
    const Multiplier r = RowReciprocal(d, 15, Rounding::kHalfUp);
    const double relative = std::ldexp(static_cast<double>(r.m), -r.shift - 15) * d - 1;
    ASSERT_LE(std::fabs(relative), std::ldexp(1.0, -16)) << d;
    ASSERT_GE(r.m, 1 << 15);
    ASSERT_LE(r.m, 1 << 16);
  }
}

}  // namespace
}  // namespace qsim::testing
