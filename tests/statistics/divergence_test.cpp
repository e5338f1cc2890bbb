#include "sim/statistics/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

DoublingHistogram Histogram(const std::vector<float>& values) {
  DoublingHistogram histogram(1024);
  histogram.Add(values);
  return histogram;
}

std::vector<float> Draw(testing::SeededRandom& random, std::size_t size, std::int64_t reach) {
  std::vector<float> values(size);
  for (float& v : values) v = static_cast<float>(random.Between(-reach, reach)) * 1e-3F;
  return values;
}

TEST(Pair, CountsAreThoseOfTheBinsItNames) {
  testing::SeededRandom random;
  for (int round = 0; round < 30; ++round) {
    const std::vector<float> x =
        Draw(random, static_cast<std::size_t>(random.Between(1, 500)), random.Between(1, 100000));
    const std::vector<float> y =
        Draw(random, static_cast<std::size_t>(random.Between(1, 500)), random.Between(1, 100000));
    const PairedHistogram pair = Pair(Histogram(x), Histogram(y));
    ASSERT_EQ(pair.exact.size(), pair.quantized.size());
    ASSERT_LE(static_cast<std::int64_t>(pair.exact.size()), kPairedBins);
    const auto count = [&](const std::vector<float>& values, std::size_t i) {
      const double low = pair.low + static_cast<double>(i) * pair.width;
      return std::count_if(values.begin(), values.end(), [&](float v) {
        return low <= static_cast<double>(v) && static_cast<double>(v) < low + pair.width;
      });
    };
    std::int64_t seen = 0;
    for (std::size_t i = 0; i < pair.exact.size(); ++i) {
      EXPECT_EQ(pair.exact[i], count(x, i));
      EXPECT_EQ(pair.quantized[i], count(y, i));
      seen += pair.exact[i] + pair.quantized[i];
    }
    EXPECT_EQ(seen, static_cast<std::int64_t>(x.size() + y.size()));
  }
}

TEST(Pair, Edges) {
  EXPECT_TRUE(Pair(DoublingHistogram(1024), DoublingHistogram(1024)).exact.empty());
  const PairedHistogram one = Pair(Histogram({0, 0}), DoublingHistogram(1024));
  EXPECT_EQ(one.exact, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(one.quantized, (std::vector<std::int64_t>{0}));
  // All zero against something: their bins differ by hundreds of doublings.
  const PairedHistogram far = Pair(Histogram({0}), Histogram({-1e30F, 1e30F}));
  EXPECT_LE(static_cast<std::int64_t>(far.exact.size()), kPairedBins);
  EXPECT_EQ(std::count(far.quantized.begin(), far.quantized.end(), 1), 2);
}

TEST(Divergence, EqualHistogramsHaveNone) {
  testing::SeededRandom random;
  const std::vector<float> x = Draw(random, 1000, 5000);
  const PairedHistogram pair = Pair(Histogram(x), Histogram(x));
  EXPECT_EQ(KlDivergence(pair), 0);
  EXPECT_EQ(JsDivergence(pair), 0);
  EXPECT_EQ(KlDivergence({}), 0);
  EXPECT_EQ(JsDivergence({}), 0);
}

TEST(Divergence, DisjointHistogramsReachLn2) {
  EXPECT_DOUBLE_EQ(JsDivergence({0, 1, {5, 0, 3}, {0, 4, 0}}), std::numbers::ln2);
  const double kl = KlDivergence({0, 1, {5, 0, 3}, {0, 4, 0}});
  EXPECT_TRUE(std::isfinite(kl));
  EXPECT_GT(kl, 1);
}

// Two points with the masses 3/4, 1/4 and 1/4, 3/4: KL = ln(3) / 2 without smoothing.
TEST(Divergence, ClosedForms) {
  const PairedHistogram many = {0, 1, {3000000, 1000000}, {1000000, 3000000}};
  EXPECT_NEAR(KlDivergence(many), std::log(3.0) / 2, 1e-5);
  const double js = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  EXPECT_DOUBLE_EQ(JsDivergence(many), js);
  // With it, by hand: p = (3.5, 1.5) / 5, q = (1.5, 3.5) / 5.
  const PairedHistogram few = {0, 1, {3, 1}, {1, 3}};
  EXPECT_DOUBLE_EQ(KlDivergence(few), 0.7 * std::log(3.5 / 1.5) + 0.3 * std::log(1.5 / 3.5));
}

TEST(Divergence, IsWithinItsBounds) {
  testing::SeededRandom random;
  for (int round = 0; round < 200; ++round) {
    PairedHistogram pair;
    const std::int64_t bins = random.Between(1, 96);
    for (std::int64_t i = 0; i < bins; ++i) {
      pair.exact.push_back(random.Between(0, 20));
      pair.quantized.push_back(random.Between(0, 20));
    }
    EXPECT_GE(KlDivergence(pair), 0);
    EXPECT_GE(JsDivergence(pair), 0);
    EXPECT_LE(JsDivergence(pair), std::numbers::ln2);
  }
}

}  // namespace
}  // namespace qsim::testing
