#include "golden/ops/rmsnorm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "tests/golden/oracle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Row = std::vector<std::int32_t>;

Row NormOf(const Row& x, const Row& gate, const RmsnormParams& params,
           QuantRange range = {INT32_MIN, INT32_MAX}, std::int64_t* saturated = nullptr,
           const RmsnormTrace& trace = {}) {
  Row out(x.size());
  const std::int64_t clamped = Rmsnorm(x, gate, params, range, out, trace);
  if (saturated != nullptr) *saturated = clamped;
  return out;
}

RmsnormParams Plain() {
  RmsnormParams params;
  params.scale = {{1, 0}};
  params.zero = {0};
  return params;
}

// Section 2's tie table in (6.17): y = 2^30 for a row of one positive element, gates -3, -1, 1, 3
// and a shift of 31 make -1.5, -0.5, 0.5, 1.5.
TEST(Rmsnorm, TiesOfEveryRounding) {
  const std::vector<std::pair<Rounding, Row>> table = {{Rounding::kHalfUp, {-1, 0, 1, 2}},
                                                       {Rounding::kHalfAway, {-2, -1, 1, 2}},
                                                       {Rounding::kHalfEven, {-2, 0, 0, 2}},
                                                       {Rounding::kFloor, {-2, -1, 0, 1}},
                                                       {Rounding::kTowardZero, {-1, 0, 0, 1}}};
  for (const auto& [rounding, expected] : table) {
    RmsnormParams params = Plain();
    params.scale = {{1, 31}};
    params.rounding = rounding;
    Row got;
    for (const std::int32_t g : {-3, -1, 1, 3}) got.push_back(NormOf({1}, {g}, params)[0]);
    EXPECT_EQ(got, expected) << Name(rounding);
  }
}

TEST(Rmsnorm, RowsOfZerosAndOfOneElement) {
  RmsnormParams params = Plain();
  params.input_zero = 7;
  params.zero = {-3};
  std::int64_t rms = 0;
  EXPECT_EQ(NormOf({7, 7, 7}, {}, params, {}, nullptr, {.rms_int = &rms}), (Row{-3, -3, -3}));
  EXPECT_EQ(rms, 1);
  // x' floor(2^31 / |x'|) >> 1, whatever the element.
  EXPECT_EQ(NormOf({8, 7}, {}, params), (Row{(1 << 30) - 3, -3}));
  EXPECT_EQ(NormOf({7, 4}, {}, params), (Row{-3, (-3 * 715827882 >> 1) - 3}));
  // A gate at its zero point leaves the output's.
  params.gate_zero = 5;
  EXPECT_EQ(NormOf({100, -100}, {5, 5}, params, {-128, 127}), (Row{-3, -3}));
}

// A row and its double have one y where the reciprocal is exact and there is no eps.
TEST(Rmsnorm, IsARatio) {
  for (int shift = 0; shift < 20; ++shift) {
    EXPECT_EQ(NormOf({1 << shift, 0, 0}, {}, Plain()), (Row{1 << 30, 0, 0}));
  }
}

TEST(Rmsnorm, ShiftsOfInputAndRoot) {
  RmsnormParams params = Plain();
  params.input_shift = {0, 2};
  std::int64_t rms = 0;
  NormOf({3, 1}, {}, params, {INT32_MIN, INT32_MAX}, nullptr, {.rms_int = &rms});
  EXPECT_EQ(rms, 5);  // 3 and 4
  params.rms_shift = 1;
  NormOf({3, 1}, {}, params, {INT32_MIN, INT32_MAX}, nullptr, {.rms_int = &rms});
  EXPECT_EQ(rms, 4);  // of 1 and 2: floor(sqrt(5)) << 1
}

TEST(Rmsnorm, EpsIsPartOfTheSumOfSquares) {
  RmsnormParams params = Plain();
  params.eps = 11;
  std::int64_t rms = 0;
  NormOf({3, -4}, {}, params, {INT32_MIN, INT32_MAX}, nullptr, {.rms_int = &rms});
  EXPECT_EQ(rms, 6);
  params.rms_shift = 1;  // 1 and -2, and eps in fours
  NormOf({3, -4}, {}, params, {INT32_MIN, INT32_MAX}, nullptr, {.rms_int = &rms});
  EXPECT_EQ(rms, 8);
  params.eps = -1;
  EXPECT_THROW(NormOf({1}, {}, params), std::invalid_argument);
}

std::int64_t SlowRoot(std::int64_t value) {
  std::int64_t root = 0;
  while ((root + 1) * (root + 1) <= value) ++root;
  return root;
}

std::int64_t FloorDivide(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

// Every pair of two 8-bit channels.
TEST(Rmsnorm, EveryRowOfTwoBytes) {
  RmsnormParams params = Plain();
  params.scale = {{3, 25}, {-5, 26}};
  params.zero = {1, -2};
  params.rounding = Rounding::kFloor;
  std::int64_t high = 0, low = 0;
  for (std::int32_t a = -128; a <= 127; ++a) {
    for (std::int32_t b = -128; b <= 127; ++b) {
      const std::int64_t rms = std::max<std::int64_t>(1, SlowRoot(a * a + b * b));
      const std::int64_t factor = (std::int64_t{1} << 31) / rms;
      const std::int64_t first = FloorDivide(FloorDivide(a * factor, 2) * 3, 1 << 25) + 1;
      const std::int64_t second = FloorDivide(FloorDivide(b * factor, 2) * -5, 1 << 26) - 2;
      const auto clamp = [](std::int64_t v) {
        return static_cast<std::int32_t>(std::clamp<std::int64_t>(v, -90, 70));
      };
      std::int64_t saturated = 0;
      ASSERT_EQ(NormOf({a, b}, {}, params, {-90, 70}, &saturated),
                (Row{clamp(first), clamp(second)}))
          << a << " " << b;
      ASSERT_EQ(saturated, (clamp(first) != first) + (clamp(second) != second));
      high += first > 70;
      low += first < -90;
    }
  }
  EXPECT_GT(high, 0);
  EXPECT_GT(low, 0);
}

// Every gate of 8 bits on every element of 8 bits beside a fixed one.
TEST(Rmsnorm, EveryGateOfAByte) {
  RmsnormParams params = Plain();
  params.scale = {{1, 30}};
  params.gate_zero = 3;
  params.rounding = Rounding::kHalfUp;
  for (std::int32_t x = -128; x <= 127; ++x) {
    const std::int64_t factor = (std::int64_t{1} << 31) / SlowRoot(x * x + 100);
    const std::int64_t y = FloorDivide(x * factor, 2);
    for (std::int32_t g = -128; g <= 127; ++g) {
      const std::int64_t half = std::int64_t{1} << 29;
      ASSERT_EQ(NormOf({x, 10}, {g, 3}, params),
                (Row{static_cast<std::int32_t>(FloorDivide(y * (g - 3) + half, half * 2)), 0}));
    }
  }
}

// The limits of a program: 2^16 channels of the largest |x'|, and of the whole domain.
TEST(Rmsnorm, ExtremesStayInTheirWidths) {
  constexpr std::int32_t kLargest = (1 << 24) - (1 << 8);
  for (const int k : {0, 15, 31}) {
    for (const std::int32_t x : {kLargest, -kLargest, INT32_MAX, INT32_MIN}) {
      RmsnormParams params = Plain();
      params.rms_shift = k;
      params.scale = {{INT32_MAX, 62}};
      std::int64_t rms = 0;
      const Row row(65536, x);
      std::vector<std::int64_t> y(row.size());
      const Row out = NormOf(row, Row(65536, INT32_MIN), params, {INT32_MIN, INT32_MAX}, nullptr,
                             {.y = y, .rms_int = &rms});
      EXPECT_GE(rms, 1);
      EXPECT_TRUE(std::all_of(out.begin(), out.end(), [&](auto v) { return v == out[0]; }));
      if (std::abs(std::int64_t{x}) == kLargest && k <= 15) {
        EXPECT_LT(rms, std::int64_t{1} << 33);
        EXPECT_LT(std::abs(y[0]), std::int64_t{1} << 45);
      }
    }
  }
}

TEST(Rmsnorm, RejectsWhatDoesNotFit) {
  const auto rejects = [](const Row& x, const Row& gate, const RmsnormParams& params,
                          QuantRange range = {}) {
    EXPECT_THROW(NormOf(x, gate, params, range), std::invalid_argument);
  };
  rejects({}, {}, Plain());
  rejects({1, 2}, {1}, Plain());
  rejects({1}, {}, Plain(), {5, 4});
  RmsnormParams params = Plain();
  params.rms_shift = 32;
  rejects({1}, {}, params);
  params = Plain();
  params.input_shift = {9, 0};
  rejects({1, 2}, {}, params);
  params.input_shift = {1};
  rejects({1, 2}, {}, params);
  params = Plain();
  params.scale.assign(2, {1, 0});
  rejects({1, 2, 3}, {}, params);
}

}  // namespace
}  // namespace qsim::testing
