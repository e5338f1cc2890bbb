#include "sim/statistics/features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

TEST(Features, DistanceOfRows) {
  const std::vector<float> x = {3, 4, 1, 0, 0, 2};
  const std::vector<double> y = {4, 3.5, 1, 0.5, 0, 2};
  const FeatureDistance d = DistanceOf(x, y, 3);
  EXPECT_DOUBLE_EQ(d.signal, 30);
  EXPECT_DOUBLE_EQ(d.noise, 1.5);
  EXPECT_NEAR(d.cosine, (26 / (5 * std::sqrt(28.25)) + 1 / std::sqrt(1.25) + 1) / 3, 1e-12);
  // The first row is nearest to the third in float, and to the second in the values.
  ASSERT_TRUE(d.nearest);
  EXPECT_DOUBLE_EQ(*d.nearest, 2.0 / 3);
  EXPECT_FALSE(DistanceOf(x, y, 2).nearest);
  EXPECT_EQ(*DistanceOf(x, std::vector<double>(x.begin(), x.end()), 3).nearest, 1);
  EXPECT_THROW(DistanceOf(x, y, 4), InternalError);
}

TEST(Features, NearestOtherIsTheFirstOfEquals) {
  const std::vector<std::vector<float>> vectors = {{1, 0}, {0, 0}, {2, 0}, {0, 3}, {5, 0}};
  EXPECT_EQ(NearestOthers(vectors), (std::vector<std::size_t>{2, 0, 0, 0, 0}));
}

TEST(Features, OneInputHasNoInterval) {
  const FeatureSummary one = SummariseFeatures(std::vector<FeatureDistance>{{100, 1, 0.5}});
  EXPECT_DOUBLE_EQ(one.qsnr_db.value, 20);
  EXPECT_TRUE(std::isnan(one.qsnr_db.low));
  EXPECT_DOUBLE_EQ(one.cosine.value, 0.5);
  EXPECT_TRUE(std::isnan(one.cosine.high));
  EXPECT_FALSE(one.nearest);
  const FeatureSummary equal = SummariseFeatures(std::vector<FeatureDistance>{{100, 0, 1}, {50, 0, 1}});
  EXPECT_EQ(equal.qsnr_db.low, std::numeric_limits<double>::infinity());
  EXPECT_EQ(equal.cosine.low, 1);
}

TEST(Features, KnownIntervals) {
  // Two inputs, one degree of freedom: mean 0.8, standard error 0.1, t 12.706; kept within 1.
  const FeatureSummary two = SummariseFeatures(std::vector<FeatureDistance>{{1, 1, 0.7}, {1, 1, 0.9}});
  EXPECT_NEAR(two.cosine.value, 0.8, 1e-12);
  EXPECT_NEAR(two.cosine.low, 0.8 - 1.27062, 1e-4);
  EXPECT_EQ(two.cosine.high, 1);
  EXPECT_NEAR(two.qsnr_db.low, 0, 1e-12);  // the ratio is the same in both
  EXPECT_NEAR(two.qsnr_db.high, 0, 1e-12);
}

// The share of intervals that hold the truth, over many samples of a known distribution.
TEST(Features, IntervalsHoldTheTruthNineteenTimesInTwenty) {
  testing::SeededRandom random;
  constexpr int kSamples = 2000;
  for (const int inputs : {5, 24}) {
    int db_held = 0;
    int cosine_held = 0;
    for (int sample = 0; sample < kSamples; ++sample) {
      std::vector<FeatureDistance> drawn;
      for (int i = 0; i < inputs; ++i) {
        // Means 1, 0.01 and 0.9.
        const double signal = static_cast<double>(random.Between(800, 1200)) * 1e-3;
        const double noise = static_cast<double>(random.Between(700, 1300)) * 1e-5;
        const double cosine = static_cast<double>(random.Between(850, 950)) * 1e-3;
        drawn.push_back({signal, noise, cosine});
      }
      const FeatureSummary summary = SummariseFeatures(drawn);
      db_held += summary.qsnr_db.low <= 20 && 20 <= summary.qsnr_db.high;
      cosine_held += summary.cosine.low <= 0.9 && 0.9 <= summary.cosine.high;
    }
    EXPECT_NEAR(static_cast<double>(db_held) / kSamples, 0.95, 0.03) << inputs;
    EXPECT_NEAR(static_cast<double>(cosine_held) / kSamples, 0.95, 0.03) << inputs;
  }
}

TEST(Features, AgreementOfNearestInputs) {
  const std::vector<std::vector<float>> x = {{1, 0}, {1, 0.1F}, {0, 1}, {0.1F, 1}};
  std::vector<std::vector<float>> y = x;
  auto same = NearestAgreement(x, y);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->value, 1);
  EXPECT_NEAR(same->low, 4 / (4 + 1.959964 * 1.959964), 1e-9);  // Wilson at 4 of 4
  EXPECT_NEAR(same->high, 1, 1e-12);
  y[0] = {0, 1};  // turns to 2, which leaves 1 and 3 without their nearest
  EXPECT_EQ(NearestAgreement(x, y)->value, 0);
  EXPECT_FALSE(NearestAgreement(std::span(x).first(2), std::span(y).first(2)));
}

}  // namespace
}  // namespace qsim::testing
