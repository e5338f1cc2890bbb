#include "golden/ops/softmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "tests/golden/oracle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::OracleDivide;
using testing::SeededRandom;

// The three algorithms over I-BERT's exponential, side by side.
struct IbertFamily {
  SoftmaxKind kind = SoftmaxKind::kIbertRn;
  IbertExp exp = {};
  std::int64_t act16_multiplier = 0;
  int act16_shift = 0;
  int extra_bits = 0;
  int code_bits = 4;
  operator SoftmaxParams() const {
    if (kind == SoftmaxKind::kIbert) return IbertSoftmaxParams{exp, act16_multiplier, act16_shift};
    if (kind == SoftmaxKind::kLogInt) return LogIntSoftmaxParams{exp, code_bits};
    return IbertRnSoftmaxParams{exp, act16_multiplier, act16_shift, extra_bits};
  }
};

// (5.1) with the snapped scale 0.6931 / k of (5.5), and (5.6)'s multiplier for a maximum of 32767.
IbertFamily ParamsFor(SoftmaxKind kind, int k, int extra_bits = 0) {
  const double s = 0.6931 / k;
  IbertFamily params;
  params.kind = kind;
  params.exp.x0 = -k;
  params.exp.b = static_cast<std::int64_t>(std::floor(0.96963238 / 0.35815147 / s));
  params.exp.c = static_cast<std::int64_t>(std::floor(1.0 / 0.35815147 / (s * s)));
  params.extra_bits = extra_bits;
  // 32767 / (c 2^30), scaled into 2^30 .. 2^31 - 1.
  int shift = 30;
  Int128 numerator = 32767;
  while (numerator / params.exp.c < (Int128{1} << 30)) {
    numerator *= 2;
    ++shift;
  }
  params.act16_multiplier =
      static_cast<std::int64_t>(OracleDivide(numerator, params.exp.c, Rounding::kHalfEven));
  params.act16_shift = shift;
  return params;
}

// The whole operation from exact rationals: q by repeated subtraction, divisions instead of shifts.
struct Oracle {
  std::vector<std::int64_t> exp_int;
  std::vector<std::int32_t> exp16, y;
  std::int64_t saturated = 0, ties = 0;  // ties: of the last rounding
};

Oracle Evaluate(const std::vector<std::int32_t>& scores, const IbertFamily& params) {
  Oracle o;
  const std::int64_t top = *std::max_element(scores.begin(), scores.end());
  Int128 sum_exp = 0, sum16 = 0;
  for (const std::int32_t x : scores) {
    std::int64_t distance = top - x;  // -d
    int q = 0;
    while (q < params.exp.n && distance >= -std::int64_t{params.exp.x0}) {
      distance += params.exp.x0;
      ++q;
    }
    if (q == params.exp.n) distance = 0;  // d was limited to n x0
    Int128 value = Int128{distance} * distance - Int128{distance} * params.exp.b + params.exp.c;
    if (value < 0) value = 0;
    for (int i = q; i < params.exp.n; ++i) value *= 2;
    o.exp_int.push_back(static_cast<std::int64_t>(value));
    sum_exp += value;
    const Int128 e16 = OracleDivide(value * params.act16_multiplier,
                                    Int128{1} << params.act16_shift, Rounding::kHalfEven);
    o.exp16.push_back(static_cast<std::int32_t>(e16 > 32767 ? Int128{32767} : e16));
    sum16 += o.exp16.back();
  }
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (params.kind == SoftmaxKind::kLogInt) {
      const std::int32_t zero = 1 << params.code_bits;
      std::int32_t code = 0;
      if (o.exp_int[i] == 0) {
        code = zero;
      } else {
        // The L with 3 * 2^(L-1) <= 2R < 3 * 2^L, and 0 for R = 1.
        const Int128 twice_r = 2 * OracleDivide(sum_exp, o.exp_int[i], Rounding::kHalfEven);
        while (code < zero && twice_r >= (Int128{3} << code)) ++code;
        o.ties += 2 * (sum_exp % o.exp_int[i]) == o.exp_int[i];
      }
      o.y.push_back(code);
      continue;
    }
    const Int128 product = o.exp16[i] * ((Int128{1} << 32) / sum16);
    const Int128 y =
        OracleDivide(product, Int128{1} << (24 - params.extra_bits),
                     params.kind == SoftmaxKind::kIbertRn ? Rounding::kHalfUp : Rounding::kFloor);
    o.saturated += y > 255;
    o.ties += y <= 255 && 2 * (product % (Int128{1} << (24 - params.extra_bits))) ==
                              Int128{1} << (24 - params.extra_bits);
    o.y.push_back(static_cast<std::int32_t>(y > 255 ? Int128{255} : y));
  }
  return o;
}

Oracle CheckRow(const std::vector<std::int32_t>& scores, const IbertFamily& params) {
  Oracle expected = Evaluate(scores, params);
  std::vector<std::int32_t> y(scores.size()), exp16(scores.size());
  std::vector<std::int64_t> exp_int(scores.size());
  const bool log_int = params.kind == SoftmaxKind::kLogInt;
  const SoftmaxTrace trace{.exp_int = exp_int,
                           .exp16 = log_int ? std::span<std::int32_t>() : std::span(exp16)};
  EXPECT_EQ(Softmax(scores, params, y, trace), expected.saturated);
  EXPECT_EQ(exp_int, expected.exp_int);
  if (!log_int) {
    EXPECT_EQ(exp16, expected.exp16);
  }
  EXPECT_EQ(y, expected.y);
  return expected;
}

TEST(Softmax, EveryEightBitDistance) {
  std::vector<std::int32_t> row(256);
  std::iota(row.begin(), row.end(), -128);
  for (const int k : {1, 2, 3, 7, 8, 16, 50, 255, 1000}) {
    for (int j = 0; j <= 7; ++j) CheckRow(row, ParamsFor(SoftmaxKind::kIbertRn, k, j));
    CheckRow(row, ParamsFor(SoftmaxKind::kIbert, k));
    IbertFamily log_int = ParamsFor(SoftmaxKind::kLogInt, k);
    for (int bits = 1; bits <= 8; ++bits) {
      log_int.code_bits = bits;
      CheckRow(row, log_int);
    }
  }
}

// One k below the maximum the exponential is exactly half of it, so sums of 1.5, 2.5 and 3.5 times
// an element are exact ties: (5.10) rounds them to 2, 2 and 4.
TEST(Softmax, LogIntTies) {
  const IbertFamily params = ParamsFor(SoftmaxKind::kLogInt, 9);
  EXPECT_EQ(CheckRow({0, -9}, params).y, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(CheckRow({0, 0, -9}, params).y, (std::vector<std::int32_t>{1, 1, 2}));
  EXPECT_EQ(CheckRow({0, 0, 0, -9}, params).y, (std::vector<std::int32_t>{2, 2, 2, 3}));
}

// M16 / 2^k16 halves the polynomial: 2.5 and 0.5, 3.5 and 1.5 go to the even neighbour. 2^k equal
// maxima of 2^14 make the last step of ibert_rn 2^(8 + j - k): 1/2 goes up.
TEST(Softmax, IbertTies) {
  for (const SoftmaxKind kind : {SoftmaxKind::kIbert, SoftmaxKind::kIbertRn}) {
    IbertFamily halves{.kind = kind,
                       .exp = {.x0 = -7, .b = 6, .c = 10, .n = 1},
                       .act16_multiplier = std::int64_t{1} << 30,
                       .act16_shift = 32};
    const std::vector<std::int32_t> row = {0, -1, -2, -3};
    std::vector<std::int32_t> y(4), exp16(4);
    std::vector<std::int64_t> exp_int(4);
    Softmax(row, halves, y, {.exp_int = exp_int, .exp16 = exp16});
    EXPECT_EQ(exp_int, (std::vector<std::int64_t>{20, 10, 4, 2}));
    EXPECT_EQ(exp16, (std::vector<std::int32_t>{5, 2, 1, 0}));
    halves.exp.c = 12;
    Softmax(row, halves, y, {.exp_int = exp_int, .exp16 = exp16});
    EXPECT_EQ(exp_int, (std::vector<std::int64_t>{24, 14, 8, 6}));
    EXPECT_EQ(exp16, (std::vector<std::int32_t>{6, 4, 2, 2}));
  }
  IbertFamily power = ParamsFor(SoftmaxKind::kIbertRn, 8);
  power.exp.c = 256;
  power.exp.b = 31;
  power.act16_multiplier = std::int64_t{1} << 30;
  power.act16_shift = 30 + 30 + 8 - 14;
  EXPECT_EQ(CheckRow(std::vector<std::int32_t>(512, 3), power).y[0], 1);   // 0.5
  EXPECT_EQ(CheckRow(std::vector<std::int32_t>(1024, 3), power).y[0], 0);  // 0.25
  power.kind = SoftmaxKind::kIbert;
  EXPECT_EQ(CheckRow(std::vector<std::int32_t>(512, 3), power).y[0], 0);
  // exp16 is clamped to 16 bits: 2^15 is not.
  power.act16_shift -= 1;
  std::vector<std::int32_t> y(1), exp16(1);
  Softmax(std::vector<std::int32_t>{0}, power, y, {.exp16 = exp16});
  EXPECT_EQ(exp16[0], 32767);
}

// Legal constants whose polynomial is negative between two powers: the exponential is 0 there, and
// the code of a 0 is the zero flag.
TEST(Softmax, NegativePolynomialsAreZero) {
  std::vector<std::int32_t> row(40);
  std::iota(row.begin(), row.end(), -39);
  for (const SoftmaxKind kind :
       {SoftmaxKind::kIbert, SoftmaxKind::kIbertRn, SoftmaxKind::kLogInt}) {
    IbertFamily params = ParamsFor(kind, 10);
    params.exp.b = 20;
    params.exp.c = 16;
    const Oracle o = CheckRow(row, params);
    EXPECT_EQ(o.exp_int[39 - 5], 0);
    EXPECT_EQ(o.y[39 - 5], kind == SoftmaxKind::kLogInt ? 16 : 0);
  }
}

TEST(Softmax, RandomRows) {
  SeededRandom random;
  std::int64_t saturated = 0, zero_codes = 0, small_codes = 0, ties = 0;
  for (int i = 0; i < 600; ++i) {
    const std::int64_t length = i % 7 == 0 ? 1 : random.Between(2, 200);
    const std::int64_t width = random.Between(1, 15);
    std::vector<std::int32_t> row(static_cast<std::size_t>(length));
    const int k = static_cast<int>(random.Between(1, 20000) >> random.Between(0, 14)) + 1;
    // Maxima and their halves, or anything.
    for (auto& x : row) {
      x = static_cast<std::int32_t>(i % 5 == 0 ? -k * random.Between(0, 1)
                                               : random.Between(-(1 << width), (1 << width) - 1));
    }
    CheckRow(row, ParamsFor(SoftmaxKind::kIbert, k));
    saturated +=
        CheckRow(row, ParamsFor(SoftmaxKind::kIbertRn, k, static_cast<int>(random.Between(0, 7))))
            .saturated;
    const Oracle codes = CheckRow(row, ParamsFor(SoftmaxKind::kLogInt, k));
    for (const std::int32_t code : codes.y) (code == 16 ? zero_codes : small_codes) += 1;
    ties += codes.ties;
  }
  EXPECT_GT(saturated, 100);
  EXPECT_GT(zero_codes, 100);
  EXPECT_GT(small_codes, 100);
  EXPECT_GT(ties, 100);
}

TEST(Softmax, AConstantAddedToARowChangesNothing) {
  const IbertFamily params = ParamsFor(SoftmaxKind::kIbertRn, 12, 2);
  const std::vector<std::int32_t> row = {-5, 17, 3, 3, -90};
  std::vector<std::int32_t> moved = row, y(5), y_moved(5);
  for (auto& x : moved) x += 1000;
  Softmax(row, params, y);
  Softmax(moved, params, y_moved);
  EXPECT_EQ(y, y_moved);
}

TEST(Softmax, WidestScoresAndLongestRow) {
  std::vector<std::int32_t> row(static_cast<std::size_t>(kMaxSoftmaxRow), 7);
  for (const SoftmaxKind kind :
       {SoftmaxKind::kIbert, SoftmaxKind::kIbertRn, SoftmaxKind::kLogInt}) {
    const Oracle equal =
        CheckRow(row, ParamsFor(kind, 20000, kind == SoftmaxKind::kIbertRn ? 7 : 0));
    EXPECT_EQ(equal.y[0], kind == SoftmaxKind::kLogInt ? 16 : 0);
    CheckRow({std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()},
             ParamsFor(kind, 3));
  }
  row.push_back(7);
  std::vector<std::int32_t> y(row.size());
  EXPECT_THROW(Softmax(row, ParamsFor(SoftmaxKind::kIbert, 8), y), std::invalid_argument);
}

// With a maximum whose exp16 is a power of two, plain ibert would reach 256.
TEST(Softmax, IbertSaturatesAt255) {
  IbertFamily params = ParamsFor(SoftmaxKind::kIbert, 10);
  params.exp.c = 512;
  params.exp.b = 39;
  params.act16_multiplier = std::int64_t{1} << 30;
  params.act16_shift = 30 + 30 + 9 - 14;  // c 2^30 becomes 2^14
  EXPECT_EQ(CheckRow({0, -1000}, params).saturated, 1);
  EXPECT_EQ(CheckRow({0, -1000}, params).y[0], 255);
}

// Against the real function, at the snapped scale: the meaning, not only the arithmetic.
TEST(Softmax, ApproximatesTheRealSoftmax) {
  SeededRandom random;
  double worst = 0;
  for (int i = 0; i < 300; ++i) {
    const int k = static_cast<int>(random.Between(6, 40));
    const double s = 0.6931 / k;
    std::vector<std::int32_t> row(65), y(65);
    for (auto& x : row) x = static_cast<std::int32_t>(random.Between(-128, 127));
    Softmax(row, ParamsFor(SoftmaxKind::kIbertRn, k), y);
    double sum = 0;
    const int top = *std::max_element(row.begin(), row.end());
    for (const int x : row) sum += std::exp(s * (x - top));
    for (std::size_t t = 0; t < row.size(); ++t) {
      const double exact = std::min(255.0, 256 * std::exp(s * (row[t] - top)) / sum);
      worst = std::max(worst, std::abs(y[t] - exact));
    }
  }
  std::cout << "largest error in output steps: " << worst << "\n";
  EXPECT_LT(worst, 1.5);
}

TEST(Softmax, ParametersOutOfRangeThrow) {
  const std::vector<std::int32_t> row = {1, 2};
  std::vector<std::int32_t> y(2);
  std::vector<std::int64_t> trace(3);
  const auto expect_bad = [&](auto change) {
    IbertFamily params = ParamsFor(SoftmaxKind::kIbertRn, 10);
    change(params);
    EXPECT_THROW(Softmax(row, params, y), std::invalid_argument);
  };
  expect_bad([](IbertFamily& p) { p.exp.x0 = 0; });
  expect_bad([](IbertFamily& p) { p.exp.x0 = -(1 << 20) - 1; });
  expect_bad([](IbertFamily& p) { p.exp.b = 8; });
  expect_bad([](IbertFamily& p) { p.exp.b = 1 << 23; });
  expect_bad([](IbertFamily& p) { p.exp.c = 0; });
  expect_bad([](IbertFamily& p) { p.exp.c = std::int64_t{1} << 33; });
  expect_bad([](IbertFamily& p) { p.exp.n = 31; });
  expect_bad([](IbertFamily& p) { p.exp.n = -1; });
  expect_bad([](IbertFamily& p) { p.act16_multiplier = 0; });
  expect_bad([](IbertFamily& p) { p.act16_multiplier = std::int64_t{1} << 31; });
  expect_bad([](IbertFamily& p) { p.act16_shift = 126; });
  expect_bad([](IbertFamily& p) { p.act16_shift = 127; });
  expect_bad([](IbertFamily& p) { p.extra_bits = 8; });
  expect_bad([](IbertFamily& p) {
    p.kind = SoftmaxKind::kLogInt;
    p.code_bits = 9;
  });
  const IbertFamily good = ParamsFor(SoftmaxKind::kIbertRn, 10);
  EXPECT_THROW(Softmax({}, good, {}), std::invalid_argument);
  EXPECT_THROW(Softmax(row, good, std::span(y).first(1)), std::invalid_argument);
  EXPECT_THROW(Softmax(row, good, y, {.exp_int = trace}), std::invalid_argument);
}

TEST(Softmax, NamesRoundTrip) {
  for (const SoftmaxKind kind :
       {SoftmaxKind::kIbert, SoftmaxKind::kIbertRn, SoftmaxKind::kLogInt}) {
    EXPECT_EQ(FromName<SoftmaxKind>(Name(kind)), kind);
  }
  EXPECT_EQ(FromName<SoftmaxKind>("softmax"), std::nullopt);
}

}  // namespace
}  // namespace qsim::testing
