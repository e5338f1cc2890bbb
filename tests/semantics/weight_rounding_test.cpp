// Weights rounded so that their errors cancel, docs/numerics.md section 3.9.
#include "sim/semantics/weight_rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/bundle/grid.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Codes = std::vector<std::int8_t>;
using Steps = std::vector<double>;

constexpr QuantRange kInt8 = {-128, 127};

Codes Nearest(const Steps& exact, QuantRange range) {
  Codes codes;
  for (const double u : exact)
    codes.push_back(static_cast<std::int8_t>(Quantize(u, {1, 0}, range)));
  return codes;
}

Codes Rounded(const Steps& exact, std::size_t kernel, QuantRange range = kInt8) {
  Codes codes = Nearest(exact, range);
  CancelErrors(exact, kernel, range, codes);
  return codes;
}

double Sum(const Steps& exact, const Codes& codes, std::size_t first, std::size_t count) {
  double sum = 0;
  for (std::size_t k = first; k < first + count; ++k)
    sum += exact[k] - static_cast<double>(codes[k]);
  return sum;
}

double Squares(const Steps& exact, const Codes& codes) {
  double sum = 0;
  for (std::size_t k = 0; k < exact.size(); ++k)
    sum += std::pow(exact[k] - static_cast<double>(codes[k]), 2);
  return sum;
}

class WeightRoundingTest : public ::testing::Test {
 protected:
  Steps Weights(std::size_t count, double least, double most) {
    Steps exact;
    for (std::size_t k = 0; k < count; ++k)
      exact.push_back(least + (most - least) * static_cast<double>(random_.Between(0, 1 << 20)) /
                                  static_cast<double>(1 << 20));
    return exact;
  }
  SeededRandom random_;
};

TEST_F(WeightRoundingTest, ByHand) {
  // 1.6 in all: two of equals, the first.
  EXPECT_EQ(Rounded({0.4, 0.4, 0.4, 0.4}, 4), (Codes{1, 1, 0, 0}));
  EXPECT_EQ(Rounded({-0.4, 3, -0.4, -0.45}, 4), (Codes{0, 3, 0, -1}));
  // Half a step is left as it is, a little more is not.
  EXPECT_EQ(Rounded({0.25, 0.25, 7}, 3), (Codes{0, 0, 7}));
  EXPECT_EQ(Rounded({0.25, 0.375, 7}, 3), (Codes{0, 1, 7}));
  EXPECT_EQ(Rounded({0.5, 0.5, 0.5, 0}, 4), (Codes{1, 0, 0, 0}));
  // 1.2 in each kernel: one move, and 0.2 are left; 0.4 together.
  EXPECT_EQ(Rounded({0.4, 0.4, 0.4, 0.3, 0.3, 0.6}, 3), (Codes{1, 0, 0, 0, 0, 1}));
  // 0.75 in the row, most of it in the last kernel.
  EXPECT_EQ(Rounded({0.125, 0, 0.125, 0.125, 0.25, 0.125}, 2), (Codes{0, 0, 0, 0, 1, 0}));
  // 1.75 in each: two moves and -0.25. The first of four kernels then gives one back.
  const Steps over = {0.40, 0.45, 0.45, 0.45};
  Steps four;
  for (int i = 0; i < 4; ++i) four.insert(four.end(), over.begin(), over.end());
  EXPECT_EQ(Rounded(four, 4), (Codes{0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0}));
}

// With one kernel: of all codes within a step of the nearest whose errors sum to half a step or
// less, those of the least squares.
TEST_F(WeightRoundingTest, NoOtherChoiceIsNearer) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    const QuantRange range = repeat % 3 == 0 ? QuantRange{-2, 1} : kInt8;
    const auto count = static_cast<std::size_t>(random_.Between(1, 8));
    const Steps exact = Weights(count, -2.5, 1.5);
    const Codes nearest = Nearest(exact, range), codes = Rounded(exact, count, range);
    double least = INFINITY;
    const auto choices = static_cast<int>(std::pow(3, count));
    for (int choice = 0; choice < choices; ++choice) {
      Codes other = nearest;
      bool inside = true;
      for (std::size_t k = 0, rest = static_cast<std::size_t>(choice); k < count; ++k, rest /= 3) {
        const int code = nearest[k] + static_cast<int>(rest % 3) - 1;
        inside = inside && code >= range.qmin && code <= range.qmax;
        other[k] = static_cast<std::int8_t>(code);
      }
      if (inside && std::fabs(Sum(exact, other, 0, count)) <= 0.5)
        least = std::min(least, Squares(exact, other));
    }
    if (std::isinf(least)) continue;  // the range does not allow it
    EXPECT_LE(std::fabs(Sum(exact, codes, 0, count)), 0.5) << repeat;
    EXPECT_NEAR(Squares(exact, codes), least, 1e-9) << repeat;
  }
}

TEST_F(WeightRoundingTest, SumsAreSmallAndCodesNearTheNearest) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    const auto kernel = static_cast<std::size_t>(random_.Between(1, 60));
    const auto kernels = static_cast<std::size_t>(random_.Between(1, 12));
    const std::size_t width = kernel * kernels;
    // Half of the time with errors of one sign.
    const Steps exact = repeat % 2 == 0 ? Weights(width, -120, 120) : Weights(width, 0.1, 0.5);
    const Codes nearest = Nearest(exact, kInt8), codes = Rounded(exact, kernel);
    constexpr double kExact = 1e-9;
    EXPECT_LE(std::fabs(Sum(exact, codes, 0, width)), 0.5 + kExact);
    for (std::size_t first = 0; first < width; first += kernel)
      EXPECT_LE(std::fabs(Sum(exact, codes, first, kernel)), (kernels == 1 ? 0.5 : 1) + kExact);
    for (std::size_t k = 0; k < width; ++k) {
      EXPECT_LE(std::abs(codes[k] - nearest[k]), 1);
      EXPECT_LE(std::fabs(exact[k] - static_cast<double>(codes[k])), 1 + kExact);
    }
  }
}

TEST_F(WeightRoundingTest, NothingLeavesTheRange) {
  for (int repeat = 0; repeat < 200; ++repeat) {
    const QuantRange range = {-2, 1};
    const Steps exact = Weights(24, -4, 4);  // half of them are cut off
    const Codes nearest = Nearest(exact, range), codes = Rounded(exact, 8, range);
    for (std::size_t k = 0; k < exact.size(); ++k) {
      EXPECT_GE(codes[k], range.qmin);
      EXPECT_LE(codes[k], range.qmax);
      EXPECT_LE(std::abs(codes[k] - nearest[k]), 1);
    }
    for (std::size_t first = 0; first < 24; first += 8)
      EXPECT_LE(std::fabs(Sum(exact, codes, first, 8)),
                std::max(1.0, std::fabs(Sum(exact, nearest, first, 8))) + 1e-9);
  }
}

}  // namespace
}  // namespace qsim::testing
