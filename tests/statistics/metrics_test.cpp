#include "sim/statistics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TensorMetrics Measure(const std::vector<float>& x, const std::vector<double>& y) {
  TensorMetrics metrics;
  metrics.Add(x, y);
  return metrics;
}

TEST(TensorMetrics, AgreesWithTheDefinitionInLongDouble) {
  testing::SeededRandom random;
  int checked = 0;
  for (int round = 0; round < 50; ++round) {
    const std::size_t size = static_cast<std::size_t>(random.Between(1, 2000));
    std::vector<float> x(size);
    std::vector<double> y(size);
    long double signal = 0, noise = 0, product = 0, other = 0, largest = 0;
    for (std::size_t i = 0; i < size; ++i) {
      x[i] = static_cast<float>(random.Between(-1000000, 1000000)) * 1e-5f;
      y[i] = static_cast<double>(x[i]) + static_cast<double>(random.Between(-1000, 1000)) * 1e-5;
      const long double e = static_cast<long double>(x[i]) - y[i];
      signal += static_cast<long double>(x[i]) * x[i];
      other += static_cast<long double>(y[i]) * y[i];
      product += static_cast<long double>(x[i]) * y[i];
      noise += e * e;
      largest = std::max(largest, std::fabs(e));
    }
    if (noise == 0 || signal == 0 || other == 0) continue;
    ++checked;
    const TensorMetrics metrics = Measure(x, y);
    EXPECT_NEAR(metrics.QsnrDb(), static_cast<double>(10 * std::log10(signal / noise)), 1e-9);
    EXPECT_NEAR(metrics.Cosine(), static_cast<double>(product / std::sqrt(signal * other)), 1e-12);
    EXPECT_EQ(metrics.MaxAbsError(), static_cast<double>(largest));
    EXPECT_EQ(metrics.elements(), static_cast<std::int64_t>(size));
  }
  EXPECT_GT(checked, 40);
}

TEST(TensorMetrics, KnownValues) {
  const TensorMetrics metrics = Measure({3, 4}, {3, 3.5});
  EXPECT_DOUBLE_EQ(metrics.QsnrDb(), 20);
  EXPECT_DOUBLE_EQ(metrics.MaxAbsError(), 0.5);
  EXPECT_DOUBLE_EQ(Measure({1, 2}, {-1, -2}).Cosine(), -1);
}

TEST(TensorMetrics, Edges) {
  EXPECT_EQ(Measure({1, 2}, {1, 2}).QsnrDb(), kInfinity);
  EXPECT_EQ(Measure({0, 0}, {0, 0}).QsnrDb(), kInfinity);
  EXPECT_EQ(Measure({0, 0}, {0, 0}).Cosine(), 1);
  EXPECT_EQ(Measure({0, 0}, {0, 1}).QsnrDb(), -kInfinity);
  EXPECT_EQ(Measure({0, 0}, {0, 1}).Cosine(), 0);
  EXPECT_EQ(Measure({0, 1}, {0, 0}).QsnrDb(), 0);
  EXPECT_EQ(Measure({0, 1}, {0, 0}).Cosine(), 0);
  EXPECT_EQ(Measure({}, {}).QsnrDb(), kInfinity);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(Measure({nan, 1}, {0, 5}).QsnrDb()));
  EXPECT_TRUE(std::isnan(Measure({nan, 1}, {0, 5}).MaxAbsError()));
  // Squares that would overflow when multiplied.
  EXPECT_DOUBLE_EQ(Measure({1e38f}, {1e150}).Cosine(), 1);
  EXPECT_THROW(Measure({1, 2}, {1}), InternalError);
}

TEST(TensorMetrics, MergingImagesInOrderIsReproducible) {
  const std::vector<float> x = {0.1f, 0.2f, 0.3f, 0.4f};
  const std::vector<double> y = {0.11, 0.19, 0.33, 0.41};
  TensorMetrics merged;
  merged.Merge(Measure({0.1f, 0.2f}, {0.11, 0.19}));
  merged.Merge(Measure({0.3f, 0.4f}, {0.33, 0.41}));
  EXPECT_NEAR(merged.QsnrDb(), Measure(x, y).QsnrDb(), 1e-12);
  EXPECT_EQ(merged.MaxAbsError(), Measure(x, y).MaxAbsError());
  EXPECT_EQ(merged.elements(), 4);
}

}  // namespace
}  // namespace qsim::testing
