#include "golden/ops/layernorm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <vector>

#include "golden/ops/integer_sqrt.h"
#include "tests/golden/oracle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::OracleDivide;
using testing::SeededRandom;

TEST(IntegerSqrt, EveryRootUpTo20BitsAndItsNeighbours) {
  EXPECT_EQ(IntegerSqrt(0), 0U);
  for (std::uint64_t root = 1; root <= (1U << 20); ++root) {
    ASSERT_EQ(IntegerSqrt(root * root - 1), root - 1);
    ASSERT_EQ(IntegerSqrt(root * root), root);
    ASSERT_EQ(IntegerSqrt(root * root + 2 * root), root);
  }
}

TEST(IntegerSqrt, LargeRootsAndTheLargestValue) {
  SeededRandom random;
  for (int i = 0; i < 100000; ++i) {
    const auto root = static_cast<std::uint64_t>(random.Between(1 << 20, 0xFFFFFFFF));
    ASSERT_EQ(IntegerSqrt(root * root - 1), root - 1);
    ASSERT_EQ(IntegerSqrt(root * root), root);
    ASSERT_EQ(IntegerSqrt(root * root + 2 * root), root);
  }
  EXPECT_EQ(IntegerSqrt(std::numeric_limits<std::uint64_t>::max()), 0xFFFFFFFFU);
  EXPECT_EQ(IntegerSqrt(0xFFFFFFFE00000001U), 0xFFFFFFFFU);
  EXPECT_EQ(IntegerSqrt(0xFFFFFFFE00000000U), 0xFFFFFFFEU);
}

struct Row {
  std::vector<std::int32_t> x, shift, zero;
  std::vector<std::int64_t> bias;
  std::vector<Multiplier> scale;
  IbertLayernormParams params;
  QuantRange range;
  void Bind() {
    params.input_shift = shift;
    params.bias = bias;
    params.scale = scale;
    params.zero = zero;
  }
};

// A row of C channels with a plain 8-bit output step for |y| near 2^30 / sqrt(C).
Row MakeRow(std::size_t channels) {
  Row row;
  row.x.resize(channels);
  row.bias.resize(channels);
  row.scale = {{40000, 41}};
  row.zero = {0};
  return row;
}

struct Oracle {
  std::int64_t std_int = 0, saturated = 0;
  bool mean_tie = false;
  testing::Exercised exercised;
  std::vector<std::int64_t> y;
  std::vector<std::int32_t> q;
};

// Section 6 in 128 bits, the root by bisection.
Oracle Evaluate(const Row& row) {
  const std::size_t channels = row.x.size();
  std::vector<Int128> d(channels);
  Int128 sum = 0, squares = row.params.eps;
  for (std::size_t c = 0; c < channels; ++c) {
    const int shift = row.shift.empty() ? 0 : row.shift[c];
    d[c] = (Int128{row.x[c]} - row.params.input_zero) * (Int128{1} << shift);
    sum += d[c];
  }
  const Int128 mean = OracleDivide(sum, static_cast<Int128>(channels), Rounding::kHalfEven);
  for (Int128& value : d) {
    value -= mean;
    const Int128 scaled = OracleDivide(value, Int128{1} << row.params.std_shift, Rounding::kFloor);
    squares += scaled * scaled;
  }
  Int128 low = 0, high = Int128{1} << 33;
  while (high - low > 1) {
    const Int128 middle = (low + high) / 2;
    (middle * middle <= squares ? low : high) = middle;
  }
  const Int128 std_int = std::max(low << row.params.std_shift, Int128{1});
  Oracle o;
  o.mean_tie =
      2 * testing::Magnitude(sum % static_cast<Int128>(channels)) == static_cast<Int128>(channels);
  o.std_int = static_cast<std::int64_t>(std_int);
  for (std::size_t c = 0; c < channels; ++c) {
    const Int128 product = d[c] * ((Int128{1} << 31) / std_int);
    const Int128 y = OracleDivide(product, 2, Rounding::kFloor) + row.bias[c];
    o.y.push_back(static_cast<std::int64_t>(y));
    const Multiplier scale = row.scale[row.scale.size() == 1 ? 0 : c];
    const testing::OracleResult result =
        testing::OracleRequantize(y * scale.m, scale.shift, row.zero[row.zero.size() == 1 ? 0 : c],
                                  row.params.rounding, row.range);
    o.q.push_back(result.y);
    o.saturated += result.saturated();
    o.exercised.Include(result);
  }
  return o;
}

Oracle CheckRow(Row& row) {
  row.Bind();
  Oracle expected = Evaluate(row);
  std::vector<std::int32_t> q(row.x.size());
  std::vector<std::int64_t> y(row.x.size());
  std::int64_t std_int = 0;
  EXPECT_EQ(Layernorm(row.x, row.params, row.range, q, {.y = y, .std_int = &std_int}),
            expected.saturated);
  EXPECT_EQ(std_int, expected.std_int);
  EXPECT_EQ(y, expected.y);
  EXPECT_EQ(q, expected.q);
  return expected;
}

TEST(Layernorm, RandomRowsEqualTheSecondDerivation) {
  SeededRandom random;
  testing::Exercised exercised;
  std::int64_t mean_ties = 0, shifted = 0, with_eps = 0;
  for (int i = 0; i < 400; ++i) {
    // The fewer the channels, the more often the mean lies exactly between two integers.
    Row row = MakeRow(
        static_cast<std::size_t>(i % 4 == 3 ? 2 * random.Between(1, 2) : random.Between(1, 200)));
    const std::int64_t width = random.Between(2, 16);
    for (auto& x : row.x) {
      x = static_cast<std::int32_t>(
          random.Between(-(std::int64_t{1} << (width - 1)), (std::int64_t{1} << (width - 1)) - 1));
    }
    const std::size_t channels = row.x.size();
    for (auto& b : row.bias) {
      b = random.Between(-kMaxLayernormBias, kMaxLayernormBias) >> random.Between(0, 46);
    }
    row.params.input_zero = static_cast<std::int32_t>(random.Between(-32768, 32767));
    if (width == 16) row.params.input_zero /= 2;
    if (i % 2 == 0) {
      row.shift.resize(channels);
      for (auto& h : row.shift) h = static_cast<std::int32_t>(random.Between(0, 8));
    }
    if (i % 5 == 0) row.params.std_shift = static_cast<int>(random.Between(1, 15));
    shifted += row.params.std_shift > 0;
    if (i % 3 == 1) {
      row.params.eps =
          random.Between(0, kMaxNormEps >> 2 * row.params.std_shift) >> random.Between(0, 62);
      with_eps += row.params.eps > 0;
    }
    row.scale.resize(i % 3 == 0 ? 1 : channels);
    for (auto& m : row.scale) {
      m = {static_cast<std::int32_t>(random.Between(1, 2147483647)),
           static_cast<int>(random.Between(40, 62))};
      if (random.Between(0, 3) == 0) m.m = -m.m;
    }
    row.zero.resize(i % 3 == 0 ? 1 : channels);
    for (auto& z : row.zero) z = static_cast<std::int32_t>(random.Between(-128, 127));
    row.params.rounding = kAllRoundings[static_cast<std::size_t>(i % 5)];
    if (i % 4 == 1) {
      // The bias that lifts y to half a step of the output.
      const std::vector<std::int64_t> y = Evaluate(row).y;
      for (std::size_t c = 0; c < channels; ++c) {
        Multiplier& scale = row.scale[row.scale.size() == 1 ? 0 : c];
        scale = {1, 40};
        row.bias[c] += (2 * random.Between(-60, 60) + 1) * (std::int64_t{1} << 39) - y[c];
      }
    }
    const Oracle o = CheckRow(row);
    exercised += o.exercised;
    mean_ties += o.mean_tie;
  }
  exercised.ExpectEach(500);
  EXPECT_GT(mean_ties, 10);
  EXPECT_GT(shifted, 40);
  EXPECT_GT(with_eps, 40);
}

TEST(Layernorm, EveryRowOfThreeSmallValues) {
  for (std::int32_t i = 0; i < 15 * 15 * 15; ++i) {
    Row row = MakeRow(3);
    row.x = {i % 15 - 7, i / 15 % 15 - 7, i / 225 - 7};
    CheckRow(row);
  }
}

TEST(Layernorm, ConstantRowsGiveTheBias) {
  for (const std::int32_t value : {-32768, 0, 5, 32767}) {
    for (const std::size_t channels : {1U, 3U, 192U}) {
      Row row = MakeRow(channels);
      std::fill(row.x.begin(), row.x.end(), value);
      std::fill(row.bias.begin(), row.bias.end(), -123456);
      const Oracle o = CheckRow(row);
      EXPECT_EQ(o.std_int, 1);
      EXPECT_EQ(o.y, row.bias);
    }
  }
}

// Means of exactly m + 1/2, both parities and signs: half_even.
TEST(Layernorm, MeanTies) {
  for (std::int32_t base = -6; base <= 6; ++base) {
    Row row = MakeRow(2);
    row.x = {base, base + 1};
    const Oracle o = CheckRow(row);
    EXPECT_EQ(o.std_int, 1);
    EXPECT_EQ(o.y[0] == 0, base % 2 == 0) << base;  // the even one is the mean
  }
}

// The largest row at the limits of (6.1): 6.3's bounds, with UBSan watching.
TEST(Layernorm, LimitsOfEveryIntermediate) {
  const auto limit = static_cast<std::int32_t>(kMaxLayernormInput);
  for (const int k : {0, 1, 15}) {
    Row row = MakeRow(65536);
    for (std::size_t c = 0; c < row.x.size(); ++c) row.x[c] = c % 2 == 0 ? limit : -limit;
    std::fill(row.bias.begin(), row.bias.end(), kMaxLayernormBias);
    row.scale = {{2147483647, 62}};
    row.params.std_shift = k;
    const Oracle o = CheckRow(row);
    EXPECT_GT(o.std_int, (std::int64_t{1} << 32) - (1 << 25));
    // One against all others: |d| almost equals std.
    std::fill(row.x.begin(), row.x.end(), -limit);
    row.x[7] = limit;
    std::fill(row.bias.begin(), row.bias.end(), -kMaxLayernormBias);
    CheckRow(row);
    // The largest eps beside the largest sum.
    for (std::size_t c = 0; c < row.x.size(); ++c) row.x[c] = c % 2 == 0 ? limit : -limit;
    row.params.eps = kMaxNormEps >> 2 * k;
    EXPECT_LT(CheckRow(row).std_int, std::int64_t{1} << 33);
  }
  // s = 0 with k = 15: the largest product, below 2^46.
  Row row = MakeRow(3);
  row.x = {0, 32767, 0};
  row.params.std_shift = 15;
  row.x = {40000, 40000, 40001};
  CheckRow(row);
}

// d = -1, 1: a sum of 2, and 34 under the root is 6.
TEST(Layernorm, EpsIsPartOfTheSumOfSquares) {
  Row row = MakeRow(2);
  row.x = {4, 6};
  EXPECT_EQ(CheckRow(row).std_int, 1);
  row.params.eps = 34;
  EXPECT_EQ(CheckRow(row).std_int, 6);
  // With k = 1 the sum is (-1)^2 + 0^2, and eps counts fours.
  row.params.std_shift = 1;
  row.params.eps = 8;
  EXPECT_EQ(CheckRow(row).std_int, 6);
  // A constant row is no special case.
  row.x = {5, 5};
  const Oracle o = CheckRow(row);
  EXPECT_EQ(o.std_int, 4);
  EXPECT_EQ(o.y, row.bias);
}

TEST(Layernorm, ApproximatesTheRealLayernorm) {
  SeededRandom random;
  double worst = 0;
  const std::size_t channels = 192;
  for (int i = 0; i < 100; ++i) {
    Row row = MakeRow(channels);
    double mean = 0, variance = 0;
    for (auto& x : row.x) {
      x = static_cast<std::int32_t>(random.Between(-3000, 3000));
      mean += x / static_cast<double>(channels);
    }
    for (const auto x : row.x) variance += (x - mean) * (x - mean) / static_cast<double>(channels);
    // Output step 1/32: r = sqrt(C) / 2^30 * 32.
    row.scale = {{static_cast<std::int32_t>(std::lround(std::sqrt(static_cast<double>(channels)) *
                                                        32 / 1073741824.0 * std::exp2(37))),
                  37}};
    const Oracle o = CheckRow(row);
    for (std::size_t c = 0; c < channels; ++c) {
      const double exact = (row.x[c] - mean) / std::sqrt(variance) * 32;
      worst = std::max(worst, std::abs(o.q[c] - exact));
    }
  }
  std::cout << "largest error in output steps: " << worst << "\n";
  EXPECT_LT(worst, 0.6);
}

TEST(Layernorm, ArgumentsOutOfRangeThrow) {
  std::vector<std::int32_t> q(2);
  const auto expect_bad = [&](auto change) {
    Row row = MakeRow(2);
    row.shift = {0, 0};
    change(row);
    row.Bind();
    EXPECT_THROW(Layernorm(row.x, row.params, row.range, q), std::invalid_argument);
  };
  expect_bad([](Row& r) { r.x.resize(3); });
  expect_bad([](Row& r) { r.x.clear(); });
  expect_bad([](Row& r) { r.shift[1] = 9; });
  expect_bad([](Row& r) { r.shift[1] = -1; });
  expect_bad([](Row& r) { r.shift.resize(1); });
  expect_bad([](Row& r) { r.bias[0] = (std::int64_t{1} << 62) + 1; });
  expect_bad([](Row& r) { r.bias[0] = std::numeric_limits<std::int64_t>::min(); });
  expect_bad([](Row& r) { r.bias.resize(1); });
  expect_bad([](Row& r) { r.scale.clear(); });
  expect_bad([](Row& r) { r.scale[0].shift = -1; });
  expect_bad([](Row& r) { r.zero.resize(3); });
  expect_bad([](Row& r) { r.params.std_shift = 32; });
  expect_bad([](Row& r) { r.range = {1, 0}; });
  expect_bad([](Row& r) { r.params.std_shift = -1; });
  expect_bad([](Row& r) { r.params.eps = -1; });
  expect_bad([](Row& r) { r.params.eps = kMaxNormEps + 1; });
}

}  // namespace
}  // namespace qsim::testing
