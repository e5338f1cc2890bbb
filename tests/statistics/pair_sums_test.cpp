#include "sim/statistics/pair_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "sim/statistics/median.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

TEST(PairSums, OfALine) {
  PairSums sums;
  for (int x = -3; x <= 5; ++x) sums.Add(x, -2.0 * x + 7);
  EXPECT_EQ(sums.count(), 9);
  EXPECT_DOUBLE_EQ(sums.Correlation(), -1);
  EXPECT_DOUBLE_EQ(sums.Slope(), -2);
  EXPECT_DOUBLE_EQ(sums.Offset(), 7);
  EXPECT_NEAR(sums.Residual(), 0, 1e-12);
}

TEST(PairSums, WithoutVariation) {
  PairSums sums;
  for (const double y : {1.0, 2.0, 4.0}) sums.Add(3, y);
  EXPECT_EQ(sums.Correlation(), 0);
  EXPECT_EQ(sums.Slope(), 0);
  EXPECT_DOUBLE_EQ(sums.Offset(), 7.0 / 3);
}

// No other line has a smaller sum of squares.
TEST(PairSums, TheLineIsTheBest) {
  SeededRandom random;
  std::vector<double> x, y;
  PairSums sums;
  for (int i = 0; i < 100; ++i) {
    x.push_back(static_cast<double>(random.Between(-1000, 1000)) / 100);
    y.push_back(0.5 * x.back() + static_cast<double>(random.Between(-300, 300)) / 100);
    sums.Add(x.back(), y.back());
  }
  const auto squares = [&](double slope, double offset) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += std::pow(y[i] - slope * x[i] - offset, 2);
    return sum;
  };
  EXPECT_NEAR(squares(sums.Slope(), sums.Offset()), sums.Residual(), 1e-9 * sums.Residual());
  for (const double d : {-0.01, 0.01}) {
    EXPECT_GT(squares(sums.Slope() + d, sums.Offset()), sums.Residual());
    EXPECT_GT(squares(sums.Slope(), sums.Offset() + d), sums.Residual());
  }
}

TEST(Median, OfAFew) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3}), 3);
  EXPECT_EQ(Median({4, 1, 3}), 3);
  EXPECT_EQ(Median({4, 1, 3, 2}), 3);
}

}  // namespace
}  // namespace qsim::testing
