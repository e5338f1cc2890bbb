#include "sim/statistics/moments.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

Moments Of(const std::vector<double>& values) {
  Moments moments;
  moments.Add(std::span<const double>(values));
  return moments;
}

// Two passes in long double.
void ExpectTwoPass(const Moments& moments, const std::vector<double>& values) {
  long double sum = 0;
  for (const double v : values) sum += v;
  const long double mean = sum / static_cast<long double>(values.size());
  long double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double deviation =
      static_cast<double>(std::sqrt(squares / static_cast<long double>(values.size())));
  EXPECT_EQ(moments.count(), static_cast<std::int64_t>(values.size()));
  EXPECT_EQ(moments.min(), *std::min_element(values.begin(), values.end()));
  EXPECT_EQ(moments.max(), *std::max_element(values.begin(), values.end()));
  EXPECT_NEAR(moments.mean(), static_cast<double>(mean), 1e-12 * (1 + std::abs(moments.mean())));
  EXPECT_NEAR(moments.StandardDeviation(), deviation, 1e-10 * (deviation + 1e-300));
}

TEST(Moments, AnySplitAgreesWithTwoPasses) {
  testing::SeededRandom random;
  for (int round = 0; round < 40; ++round) {
    // A mean up to a million times the deviation: sums of squares would lose all digits.
    const double offset = static_cast<double>(random.Between(-1000000, 1000000));
    std::vector<double> values;
    Moments merged;
    const std::int64_t pieces = random.Between(1, 9);
    for (std::int64_t p = 0; p < pieces; ++p) {
      std::vector<double> piece;
      const std::int64_t size = random.Between(0, 400);
      for (std::int64_t i = 0; i < size; ++i)
        piece.push_back(offset + static_cast<double>(random.Between(-1000, 1000)) * 1e-3);
      values.insert(values.end(), piece.begin(), piece.end());
      merged.Merge(Of(piece));
    }
    if (values.size() < 2) continue;
    ExpectTwoPass(merged, values);
    ExpectTwoPass(Of(values), values);
  }
}

TEST(Moments, ClosedForms) {
  std::vector<double> uniform;
  for (int i = 0; i <= 1000; ++i) uniform.push_back(i);
  EXPECT_DOUBLE_EQ(Of(uniform).mean(), 500);
  EXPECT_NEAR(Of(uniform).StandardDeviation(), std::sqrt((1001.0 * 1001 - 1) / 12), 1e-10);
  EXPECT_DOUBLE_EQ(Of({-3, 5, -3, 5}).mean(), 1);
  EXPECT_DOUBLE_EQ(Of({-3, 5, -3, 5}).StandardDeviation(), 4);
}

TEST(Moments, Edges) {
  EXPECT_EQ(Moments().count(), 0);
  EXPECT_EQ(Moments().StandardDeviation(), 0);
  EXPECT_EQ(Of({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}).StandardDeviation(), 0);
  Moments moments = Of({2, 4});
  moments.Merge(Moments());
  EXPECT_EQ(moments.count(), 2);
  EXPECT_EQ(moments.mean(), 3);
}

}  // namespace
}  // namespace qsim::testing
