#include "sim/statistics/tensor_profile.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

struct Data {
  IntTensor codes;
  std::vector<double> quantized;
  std::vector<float> exact;
};

// Heavy tails, so that there are outliers.
Data Draw(testing::SeededRandom& random, std::int64_t size, double scale) {
  Data data;
  std::vector<std::int8_t> codes;
  for (std::int64_t i = 0; i < size; ++i) {
    double x = static_cast<double>(random.Between(-1000, 1000)) * 1e-3;
    x = x * x * x * x * x * 4;
    data.exact.push_back(static_cast<float>(x));
    const double q = std::clamp(std::nearbyint(x / scale), -128.0, 127.0);
    codes.push_back(static_cast<std::int8_t>(q));
    data.quantized.push_back(scale * q);
  }
  data.codes = IntTensor({size}, codes);
  return data;
}

template <typename T>
double OutlierShare(const std::vector<T>& values) {
  long double sum = 0;
  for (const T v : values) sum += static_cast<long double>(v);
  const long double mean = sum / static_cast<long double>(values.size());
  long double squares = 0;
  for (const T v : values) squares += (v - mean) * (v - mean);
  const long double reach = 3 * std::sqrt(squares / static_cast<long double>(values.size()));
  const auto beyond = std::count_if(values.begin(), values.end(), [&](T v) {
    return std::fabs(static_cast<long double>(v) - mean) > reach;
  });
  return static_cast<double>(beyond) / static_cast<double>(values.size());
}

TEST(TensorProfile, OutliersAreWithinTheirStatedError) {
  testing::SeededRandom random;
  int with_outliers = 0;
  for (int round = 0; round < 60; ++round) {
    const Data data = Draw(random, random.Between(1, 5000), 0.03);
    TensorCounts counts({-128, 127});
    counts.Add(data.codes, data.quantized, data.exact);
    TensorMoments moments;
    moments.Add(data.quantized, data.exact);
    const TensorProfile profile = MakeProfile(counts, moments);
    const double exact = OutlierShare(data.exact);
    const double quantized = OutlierShare(data.quantized);
    if (exact > 0) ++with_outliers;
    ASSERT_TRUE(profile.exact);
    EXPECT_LE(std::abs(profile.exact->outlier_share - exact), profile.exact->outlier_error + 1e-12);
    EXPECT_LE(std::abs(profile.quantized.outlier_share - quantized),
              profile.quantized.outlier_error + 1e-12);
    // Fine bins: the error is a small part of the share.
    EXPECT_LE(profile.exact->outlier_error, 0.02);
  }
  EXPECT_GT(with_outliers, 20);
}

TEST(TensorProfile, PiecesOnTwoThreadsAreTheWhole) {
  testing::SeededRandom random;
  TensorCounts whole({-128, 127});
  TensorCounts workers[2] = {TensorCounts({-128, 127}), TensorCounts({-128, 127})};
  TensorMoments one_by_one;
  TensorMoments again;
  for (int image = 0; image < 12; ++image) {
    const Data data = Draw(random, 300, 0.05);
    whole.Add(data.codes, data.quantized, data.exact);
    workers[random.Between(0, 1)].Add(data.codes, data.quantized, data.exact);
    TensorMoments piece;
    piece.Add(data.quantized, data.exact);
    one_by_one.Merge(piece);
    again.Merge(piece);
  }
  workers[1].Merge(workers[0]);
  const TensorProfile a = MakeProfile(whole, one_by_one);
  const TensorProfile b = MakeProfile(workers[1], again);
  EXPECT_EQ(a.histogram, b.histogram);
  EXPECT_EQ(a.exact->outlier_share, b.exact->outlier_share);
  EXPECT_EQ(a.quantized.stddev, b.quantized.stddev);
  EXPECT_EQ(a.error->kl, b.error->kl);
  EXPECT_EQ(a.error->js, b.error->js);
  EXPECT_EQ(a.codes.entropy_bits, b.codes.entropy_bits);
}

TEST(TensorProfile, TwoPointsHaveNoOutliers) {
  TensorCounts counts({-128, 127});
  const std::vector<double> real = {-1, 1, -1, 1};
  counts.Add(IntTensor({4}, std::vector<std::int8_t>{-100, 100, -100, 100}), real, {});
  TensorMoments moments;
  moments.Add(real, {});
  const TensorProfile profile = MakeProfile(counts, moments);
  EXPECT_FALSE(profile.exact);
  EXPECT_FALSE(profile.error);
  EXPECT_EQ(profile.quantized.mean, 0);
  EXPECT_EQ(profile.quantized.stddev, 1);
  EXPECT_EQ(profile.quantized.outlier_share, 0);
  EXPECT_EQ(profile.quantized.outlier_error, 0);
  EXPECT_EQ(profile.codes.distinct, 2);
}

// One value in a thousand at 1, the others at 0: beyond 3 sigma, and alone in its bin.
TEST(TensorProfile, ALoneSpikeIsTheOutlier) {
  std::vector<double> real(1000, 0.0);
  real[17] = 1;
  std::vector<std::int8_t> codes(1000, 0);
  codes[17] = 100;
  TensorCounts counts({-128, 127});
  counts.Add(IntTensor({1000}, codes), real, {});
  TensorMoments moments;
  moments.Add(real, {});
  const ValueSummary summary = MakeProfile(counts, moments).quantized;
  EXPECT_DOUBLE_EQ(summary.outlier_share, 0.001);
  EXPECT_EQ(summary.outlier_error, 0);
}

// A bundle's scales may be anything finite.
TEST(TensorProfile, NumbersBeyondFloatsEndSomewhere) {
  TensorCounts counts({-128, 127});
  const std::vector<double> real = {-1e300, 0, 1e300};
  counts.Add(IntTensor({3}, std::vector<std::int8_t>{-1, 0, 1}), real, {});
  TensorMoments moments;
  moments.Add(real, {});
  const TensorProfile profile = MakeProfile(counts, moments);
  EXPECT_EQ(profile.quantized.max, 1e300);
  EXPECT_EQ(counts.quantized().count(), 3);
}

TEST(TensorProfile, ConstantsAndNothing) {
  const ValueSummary nothing = Summarise(Moments(), DoublingHistogram(1024));
  EXPECT_EQ(nothing.count, 0);
  EXPECT_EQ(nothing.outlier_share, 0);
  const std::vector<double> real(7, 0.1);
  TensorMoments moments;
  moments.Add(real, {});
  DoublingHistogram histogram(1024);
  histogram.Add(std::vector<float>(7, 0.1F));
  EXPECT_EQ(Summarise(moments.quantized, histogram).stddev, 0);
  EXPECT_EQ(Summarise(moments.quantized, histogram).outlier_share, 0);
}

}  // namespace
}  // namespace qsim::testing
