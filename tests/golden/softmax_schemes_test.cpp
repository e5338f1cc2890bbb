// The published softmaxes beyond I-BERT's: values worked out by hand, the ties of every rounding,
// corners and rejects. derivation/ compares them with exact rationals over wide ranges.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "golden/ops/softmax.h"
#include "golden/ops/softmax/shift_exp.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Row = std::vector<std::int32_t>;

constexpr std::int32_t kMin32 = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMax32 = std::numeric_limits<std::int32_t>::max();

SoftmaxParams Shiftmax(ShiftmaxParams own) { return own; }
SoftmaxParams Ita(ItaSoftmaxParams own) { return own; }
SoftmaxParams Streaming(ItaStreamingSoftmaxParams own) { return own; }
SoftmaxParams Tflite(TfliteSoftmaxParams own) { return own; }
SoftmaxParams Deeploy(IsoftmaxParams own) { return own; }

Row Evaluate(const Row& scores, const SoftmaxParams& params, std::int64_t saturated = 0) {
  Row y(scores.size());
  EXPECT_EQ(Softmax(scores, params, y), saturated);
  const QuantRange range = SoftmaxOutputRange(params);
  for (const std::int32_t value : y) {
    EXPECT_GE(value, range.qmin);
    EXPECT_LE(value, range.qmax);
  }
  return y;
}

// x0 = -16, n = 15: x becomes x + floor(x / 2) - floor(x / 16), so -1 -> -1 - 1 + 1 = -1,
// -2 -> -2 - 1 + 1 = -2, -3 -> -3 - 2 + 1 = -4, -16 -> -16 - 8 + 1 = -23 and -17 -> -17 - 9 + 2.
TEST(ShiftExp, ByHand) {
  EXPECT_EQ(ShiftExp(0, -16, 15), 16 << 15);
  EXPECT_EQ(ShiftExp(-1, -16, 15), 31 << 14);         // (-1/2 + 16) 2^15
  EXPECT_EQ(ShiftExp(-2, -16, 15), 30 << 14);         // (-1 + 16) 2^15
  EXPECT_EQ(ShiftExp(-3, -16, 15), 28 << 14);         // d = -4
  EXPECT_EQ(ShiftExp(-16, -16, 15), (32 - 7) << 13);  // d = -23: q = 1, r = -7
  EXPECT_EQ(ShiftExp(-17, -16, 15), (32 - 8) << 13);  // d = -24
  EXPECT_EQ(ShiftExp(-100000, -16, 15), 16);          // d = n x0: q = n, r = 0
  EXPECT_EQ(ShiftExp(-100, -16, 0), 16);
  EXPECT_EQ(ShiftExp(-16, -16, 1), 16);  // d = n x0
  EXPECT_EQ(ShiftExp(-16, -16, 2), 25);  // r = -7 is odd, and q < n: 12.5 * 2, no floor acts
}

// A positive argument has q < 0: more than n powers of two.
TEST(ShiftExp, PositiveArgumentsGrowToTheCap) {
  EXPECT_EQ(ShiftExp(1, -16, 15), (32 - 15) << 15);   // d = 1: q = -1, r = -15
  EXPECT_EQ(ShiftExp(11, -16, 15), 32 << 15);         // d = 11 + 5 - 0 = 16: q = -1, r = 0
  EXPECT_EQ(ShiftExp(12, -16, 15), (32 - 14) << 16);  // d = 18: q = -2, r = -14
  // x0 = -1, n = 15: 2^(15 + d).
  EXPECT_EQ(ShiftExp(31, -1, 15), std::int64_t{1} << 60);  // d = 31 + 15 - 1 = 45
  EXPECT_EQ(ShiftExp(33, -1, 15), kShiftExpCap);           // d = 33 + 16 - 2 = 47: exactly 2^62
  EXPECT_EQ(ShiftExp(34, -1, 15), kShiftExpCap);
  EXPECT_EQ(ShiftExp(std::int64_t{1} << 60, -1, 30), kShiftExpCap);
  EXPECT_EQ(ShiftExp(-(std::int64_t{1} << 60), kMin32, 30), std::int64_t{1} << 31);
  EXPECT_EQ(ShiftExp(0, kMin32, 30), std::int64_t{1} << 61);
}

TEST(ShiftExp, Rejects) {
  EXPECT_THROW(CheckShiftExp(0, 15), std::invalid_argument);
  EXPECT_THROW(CheckShiftExp(-1, -1), std::invalid_argument);
  EXPECT_THROW(CheckShiftExp(-1, 31), std::invalid_argument);
  EXPECT_NO_THROW(CheckShiftExp(kMin32, 30));
  EXPECT_THROW(ShiftExp((std::int64_t{1} << 60) + 1, -1, 15), std::invalid_argument);
  EXPECT_THROW(ShiftExp(-(std::int64_t{1} << 60) - 1, -1, 15), std::invalid_argument);
}

// exp_int 524288, 507904, 204800 and 136; sum 1237128; floor((2^31 - 1) / sum) = 1735.
TEST(Shiftmax, ByHand) {
  EXPECT_EQ(Evaluate({5, 4, -11, -128}, Shiftmax({.x0 = -16})), (Row{54, 52, 21, 0}));
  EXPECT_EQ(Evaluate({-3}, Shiftmax({.x0 = -16})), Row{127});
  EXPECT_EQ(Evaluate({0, 0}, Shiftmax({.x0 = -16})), (Row{63, 63}));  // 524288 * 2047 >> 24
  EXPECT_EQ(Evaluate({0}, Shiftmax({.x0 = -16, .output_bits = 16})),
            Row{32760});  // 4095 2^19 >> 16
  EXPECT_EQ(Evaluate({0}, Shiftmax({.x0 = -16, .output_bits = 1})), Row{0});
}

// The sum is clamped to 2^31 - 1, each exponential is not: 2^31 over it gives 128, 2^54 2^30.
TEST(Shiftmax, SumsBeyond31Bits) {
  EXPECT_EQ(Evaluate({0}, Shiftmax({.x0 = -65536})), Row{128});
  EXPECT_EQ(Evaluate({0, 0, 0}, Shiftmax({.x0 = -65536})), (Row{128, 128, 128}));
  EXPECT_EQ(Evaluate({0}, Shiftmax({.x0 = -65535})), Row{127});
  EXPECT_EQ(Evaluate({0}, Shiftmax({.x0 = kMin32, .n = 23})), Row{1 << 30});
  EXPECT_EQ(SoftmaxOutputRange(Shiftmax({.x0 = -65535})), (QuantRange{0, 127}));
  EXPECT_EQ(SoftmaxOutputRange(Shiftmax({.x0 = -65536})), (QuantRange{0, 128}));
  EXPECT_EQ(SoftmaxOutputRange(Shiftmax({.x0 = -65536, .output_bits = 16})),
            (QuantRange{0, 32768}));
}

// Powers (rowmax - x) / 32 rounded half up: 15 -> 0, 16 -> 1, 47 -> 1, 48 -> 2.
TEST(Ita, ByHand) {
  // 256 + 256 + 128 + 128 + 64 = 832; floor(65280 / 832) = 78.
  EXPECT_EQ(Evaluate({100, 85, 84, 53, 52}, Ita({})), (Row{78, 78, 39, 39, 19}));
  EXPECT_EQ(Evaluate({100, 85, 84, 53, 52}, Streaming({})), (Row{78, 78, 39, 39, 19}));
  EXPECT_EQ(Evaluate({100, 85, 84, 53, 52}, Ita({.levels = 128, .output_offset = -128})),
            (Row{39 - 128, 39 - 128, 19 - 128, 19 - 128, 9 - 128}));
  // shift_bits 0: the difference itself. 256 + 128 + 1 + 1/2: floored once.
  EXPECT_EQ(Evaluate({9, 8, 1, 0}, Ita({.shift_bits = 0})), (Row{169, 84, 0, 0}));
  EXPECT_EQ(Evaluate({-128}, Ita({})), Row{255});
  EXPECT_EQ(Evaluate({-128, -128}, Streaming({})), (Row{127, 127}));
  EXPECT_EQ(Evaluate({kMin32, kMax32}, Ita({.shift_bits = 0})), (Row{0, 255}));
  EXPECT_EQ(Evaluate({kMin32, kMax32}, Streaming({.shift_bits = 0})), (Row{0, 255}));
}

// 1/2 + 1/4 + ... + 2^-k + 2^-k is 1: only the exact sum reaches 257, which levels 258 shows.
TEST(Ita, TheExactSumIsFlooredOnce) {
  for (const std::int32_t last : {9, 10, 40, 62, 63, 64, 130, 65000}) {
    Row row = {0};
    for (std::int32_t power = 9; power <= last; ++power) row.push_back(-power);
    EXPECT_EQ(Evaluate(row, Ita({.shift_bits = 0, .levels = 258}))[0], 257) << last;
    row.push_back(-last);
    EXPECT_EQ(Evaluate(row, Ita({.shift_bits = 0, .levels = 258}))[0], 256) << last;
  }
}

// Groups of one, rising by half a power: every step shifts the sum, and floors it, by one.
TEST(Ita, StreamingShiftsTheSumWhenTheMaximumGrows) {
  // 256; (256 >> 1) + 256 = 384; (384 >> 1) + 256 = 448: inverse 145, powers 1, 1 and 0.
  EXPECT_EQ(Evaluate({0, 16, 32}, Streaming({.group = 1})), (Row{72, 72, 145}));
  // All in one group: 128 + 128 + 256 = 512.
  EXPECT_EQ(Evaluate({0, 16, 32}, Streaming({.group = 3})), (Row{63, 63, 127}));
  EXPECT_EQ(Evaluate({0, 15, 30}, Streaming({.group = 1})), (Row{42, 85, 85}));  // 15: no shift
  // The last group is short, and a group longer than the row is the whole row.
  EXPECT_EQ(Evaluate({0, 16, 32}, Streaming({.group = 2})), (Row{72, 72, 145}));
  EXPECT_EQ(Evaluate({0, 16, 32}, Streaming({.group = 1000})), (Row{63, 63, 127}));
  // Below -128, where the published start of the running maximum would be too high.
  EXPECT_EQ(Evaluate({-1000, -1000}, Streaming({.shift_bits = 0})), (Row{127, 127}));
}

TEST(Ita, Rejects) {
  const auto expect_bad = [](const ItaSoftmaxParams& own) {
    EXPECT_THROW(CheckSoftmaxParams(Ita(own)), std::invalid_argument);
    EXPECT_THROW(CheckSoftmaxParams(Streaming({.shift_bits = own.shift_bits,
                                               .levels = own.levels,
                                               .output_offset = own.output_offset})),
                 std::invalid_argument);
  };
  expect_bad({.shift_bits = -1});
  expect_bad({.shift_bits = 32});
  expect_bad({.levels = 1});
  expect_bad({.levels = 65537});
  expect_bad({.output_offset = -65537});
  expect_bad({.output_offset = 65537});
  EXPECT_THROW(CheckSoftmaxParams(Streaming({.group = 0})), std::invalid_argument);
}

// a (p + b)^2 + c = (p + 3)^2 + 1 with log2 = 2: 10 at 0, (-1 + 3)^2 + 1 = 5 at -1, 10 >> 1 at -2,
// 5 >> 1 at -3. Sum 10 + 5 + 5 + 2 = 22; floor(10 * 255 / 22) = 115.
TEST(Isoftmax, ByHand) {
  const IsoftmaxParams own{.coeff_a = 1, .coeff_b = 3, .coeff_c = 1, .log2 = 2};
  EXPECT_EQ(Evaluate({0, -1, -2, -3}, Deeploy(own)), (Row{115, 57, 57, 23}));
  IsoftmaxParams signed_output = own;
  signed_output.output_offset = -128;
  EXPECT_EQ(Evaluate({0, -1, -2, -3}, Deeploy(signed_output)), (Row{-13, -71, -71, -105}));
  EXPECT_EQ(Evaluate({-7}, Deeploy(own)), Row{255});
}

// z stops at 31, so that p runs away: at -63 it is -63 + 62 = -1, at kMin32 nearly -2^32.
TEST(Isoftmax, TheShiftStopsAt31) {
  const IsoftmaxParams own{
      .coeff_a = 1, .coeff_b = 3, .coeff_c = std::int64_t{1} << 40, .log2 = 2, .levels = 65536};
  const Row y = Evaluate({0, -62, -63, -1000000}, Deeploy(own));
  EXPECT_EQ(y[0], 65534);
  EXPECT_EQ(y[3], 0);
  // ((2^32 - 1 - 62 - 3)^2) >> 31 is 2^33, far above the maximum's own 10.
  const IsoftmaxParams small{.coeff_a = 1, .coeff_b = 3, .coeff_c = 1, .log2 = 2};
  EXPECT_EQ(Evaluate({kMax32, kMin32}, Deeploy(small)), (Row{0, 254}));
}

TEST(Isoftmax, Rejects) {
  const auto expect_bad = [](auto change) {
    IsoftmaxParams own{.coeff_a = 1, .coeff_b = 3, .coeff_c = 1, .log2 = 2};
    EXPECT_NO_THROW(CheckSoftmaxParams(Deeploy(own)));
    change(own);
    EXPECT_THROW(CheckSoftmaxParams(Deeploy(own)), std::invalid_argument);
  };
  expect_bad([](IsoftmaxParams& p) { p.coeff_a = -1; });
  expect_bad([](IsoftmaxParams& p) { p.coeff_b = kMin32; });
  expect_bad([](IsoftmaxParams& p) { p.coeff_c = -1; });
  expect_bad([](IsoftmaxParams& p) { p.coeff_c = (std::int64_t{1} << 62) + 1; });
  expect_bad([](IsoftmaxParams& p) { p.log2 = 0; });
  expect_bad([](IsoftmaxParams& p) { p.levels = 1; });
  expect_bad([](IsoftmaxParams& p) { p.levels = 65537; });
  expect_bad([](IsoftmaxParams& p) { p.output_offset = -65537; });
  expect_bad([](IsoftmaxParams& p) { p.output_offset = 65537; });
  expect_bad([](IsoftmaxParams& p) {
    p.coeff_b = 0;
    p.coeff_c = 0;
  });
}

// 2^m equal scores have the probability 2^-m and the output 2^(8 - m), once its reciprocal is
// exact. 512 equal scores meet the last rounding's tie 0.5, and the source's undefined shift.
TEST(TfliteSoftmax, EqualScores) {
  const TfliteSoftmaxParams own{.beta_left_shift = 23, .diff_min = -248};
  EXPECT_EQ(Evaluate({42}, Tflite(own), 1), Row{127});
  EXPECT_EQ(Evaluate({-7, -7}, Tflite(own)), (Row{0, 0}));
  EXPECT_EQ(Evaluate(Row(4, 1), Tflite(own)), Row(4, -64));
  EXPECT_EQ(Evaluate(Row(256, 1), Tflite(own)), Row(256, -127));
  EXPECT_EQ(Evaluate(Row(1024, 1), Tflite(own)), Row(1024, -128));
  TfliteSoftmaxParams wide = own;
  wide.output_bits = 16;
  EXPECT_EQ(Evaluate({42}, Tflite(wide), 1), Row{32767});
  EXPECT_EQ(Evaluate({-7, -7}, Tflite(wide)), (Row{0, 0}));
  EXPECT_EQ(Evaluate(Row(8191, 1), Tflite(wide)), Row(8191, 8 - 32768));
}

// 255 of 256 is the highest code without a clamp: e^-5.5 beside 1, beta s = 1 / 16.
TEST(TfliteSoftmax, TheHighestCodeIsNotSaturated) {
  const TfliteSoftmaxParams own{.beta_left_shift = 23, .diff_min = -248};
  EXPECT_EQ(Evaluate({0, -88}, Tflite(own)), (Row{127, -127}));
}

// The exponential of -196 is 2048 of 2^31, half a step of the sum, and rounds away to 1: 4,000 of
// them make the sum 2^19 + 4000. To even, or down, it would be 2^19 and the maximum 32767.
TEST(TfliteSoftmax, TieInTheSum) {
  const TfliteSoftmaxParams own{
      .beta_multiplier = 1215111458, .beta_left_shift = 23, .diff_min = -248, .output_bits = 16};
  Row row(4001, -196);
  row[0] = 0;
  const Row y = Evaluate(row, Tflite(own));
  EXPECT_EQ(y[0], 65040 - 32768);  // round(2^16 * 2^19 / (2^19 + 4000))
  EXPECT_EQ(y[1], -32768);
}

// The product of -125's exponential and the reciprocal is 2^14, the last shift 15: 0.5 becomes 1.
TEST(TfliteSoftmax, TieInTheLastStep) {
  const TfliteSoftmaxParams own{
      .beta_multiplier = 1619510336, .beta_left_shift = 23, .diff_min = -248, .output_bits = 16};
  EXPECT_EQ(Evaluate({0, -125}, Tflite(own), 1), (Row{32767, -32767}));
}

TEST(TfliteSoftmax, Functions) {
  const double one = std::exp2(31);
  EXPECT_EQ(TfliteExp(0), kMax32);
  EXPECT_EQ(TfliteReciprocal(0), kMax32);
  // (sum + 1) / 2 of the source's half: an even a and the odd one below give the same.
  EXPECT_EQ(TfliteReciprocal(1000000), TfliteReciprocal(1000001));
  EXPECT_NE(TfliteReciprocal(1000000), TfliteReciprocal(1000004));
  for (const std::int64_t a : {1, 1000, 1 << 24, 1 << 26, 3 << 25, 1 << 29, (1 << 30) + 12345}) {
    EXPECT_NEAR(static_cast<double>(TfliteExp(-a)) / one,
                std::exp(-static_cast<double>(a) / one * 32), 1e-6);
    EXPECT_NEAR(static_cast<double>(TfliteReciprocal(a)) / one,
                one / (one + static_cast<double>(a)), 1e-8);
  }
  EXPECT_THROW(TfliteExp(1), std::invalid_argument);
  EXPECT_THROW(TfliteExp(std::numeric_limits<std::int64_t>::min()), std::invalid_argument);
  EXPECT_THROW(TfliteReciprocal(-1), std::invalid_argument);
  EXPECT_THROW(TfliteReciprocal(std::int64_t{1} << 31), std::invalid_argument);
}

TEST(TfliteSoftmax, DiffMinCutsOff) {
  const TfliteSoftmaxParams own{.beta_left_shift = 20, .diff_min = -10, .output_bits = 16};
  const Row y = Evaluate({0, -10, -11}, Tflite(own));
  EXPECT_GT(y[1], -32768);
  EXPECT_EQ(y[2], -32768);
  EXPECT_EQ(Evaluate({kMin32, kMax32}, Tflite(own), 1), (Row{-32768, 32767}));
}

TEST(TfliteSoftmax, Rejects) {
  EXPECT_THROW(CheckSoftmaxParams(Tflite({.beta_multiplier = -1})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Tflite({.beta_left_shift = -1})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Tflite({.beta_left_shift = 32})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Tflite({.diff_min = 1})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Tflite({.output_bits = 12})), std::invalid_argument);
  Row row(8192), y(8192);
  EXPECT_THROW(Softmax(row, Tflite({}), y), std::invalid_argument);
}

TEST(Shiftmax, Rejects) {
  EXPECT_THROW(CheckSoftmaxParams(Shiftmax({.x0 = 0})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Shiftmax({.n = 31})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Shiftmax({.n = -1})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Shiftmax({.output_bits = 0})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Shiftmax({.output_bits = 17})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Shiftmax({.x0 = kMin32, .n = 24})), std::invalid_argument);
  EXPECT_THROW(CheckSoftmaxParams(Shiftmax({.x0 = kMin32, .n = 16, .output_bits = 16})),
               std::invalid_argument);
  EXPECT_NO_THROW(CheckSoftmaxParams(Shiftmax({.x0 = kMin32 + 1, .n = 16, .output_bits = 16})));
}

// Each algorithm's meaning, at a scale where it works well: the largest error in output steps.
TEST(SoftmaxSchemes, ApproximateTheRealSoftmax) {
  constexpr double kScale = 0.04;
  const double kLn2 = std::log(2.0);
  struct Case {
    SoftmaxParams params;
    double step, base, worst;
  };
  // beta s 2^26 = M / 2^31 2^23 for s = 0.04 is M = 0.32 2^31, with one bit less of shift.
  const std::vector<Case> cases = {
      {Shiftmax({.x0 = -25}), 1.0 / 128, std::exp(kScale), 8},
      // ITA's powers of two: 2^(1 / 32) per step, rounded to whole powers.
      {Ita({}), 1.0 / 255, std::exp2(1.0 / 32), 90},
      {Streaming({}), 1.0 / 255, std::exp2(1.0 / 32), 90},
      {Tflite({.beta_multiplier = 1374389535, .beta_left_shift = 22, .diff_min = -496}), 1.0 / 256,
       std::exp(kScale), 1.1},
      // exp(p s) of I-BERT's polynomial with s = ln 2 / 17.
      {Deeploy({.coeff_a = 1, .coeff_b = 33, .coeff_c = 576, .log2 = 17}), 1.0 / 255,
       std::exp(kLn2 / 17), 3},
  };
  testing::SeededRandom random;
  for (const Case& c : cases) {
    double worst = 0;
    for (int i = 0; i < 100; ++i) {
      Row row(50);
      for (auto& x : row) x = static_cast<std::int32_t>(random.Between(-128, 127));
      Row y(row.size());
      Softmax(row, c.params, y);
      const std::int32_t top = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (const std::int32_t x : row) sum += std::pow(c.base, x - top);
      const std::int32_t zero = SoftmaxOutputRange(c.params).qmin;
      for (std::size_t t = 0; t < row.size(); ++t) {
        const double exact = std::pow(c.base, row[t] - top) / sum / c.step;
        worst = std::max(worst, std::abs(y[t] - zero - exact));
      }
    }
    std::cout << NameOfAlgorithm(c.params) << ": largest error in output steps " << worst << "\n";
    EXPECT_LT(worst, c.worst) << NameOfAlgorithm(c.params);
    EXPECT_GT(worst, 0.1) << NameOfAlgorithm(c.params);
  }
}

TEST(SoftmaxSchemes, LongestRows) {
  for (const SoftmaxKind kind :
       {SoftmaxKind::kShiftmax, SoftmaxKind::kIta, SoftmaxKind::kItaStreaming, SoftmaxKind::kTflite,
        SoftmaxKind::kDeeploy}) {
    const auto params = Alternative<SoftmaxParams>(static_cast<std::size_t>(kind));
    Row row(static_cast<std::size_t>(MaxSoftmaxRow(kind)));
    const std::int32_t zero = SoftmaxOutputRange(params).qmin;
    EXPECT_EQ(Evaluate(row, params), Row(row.size(), zero)) << Name(kind);
    row.push_back(0);
    Row y(row.size());
    EXPECT_THROW(Softmax(row, params, y), std::invalid_argument) << Name(kind);
  }
}

TEST(SoftmaxSchemes, NamesRoundTrip) {
  for (int i = 0; i < 9; ++i) {
    const auto kind = static_cast<SoftmaxKind>(i);
    EXPECT_FALSE(Name(kind).empty());
    EXPECT_EQ(FromName<SoftmaxKind>(Name(kind)), kind);
  }
  EXPECT_EQ(Name(static_cast<SoftmaxKind>(9)), "");
}

// Halves from code to code: e = 2^(15 - d).
TableSoftmaxParams Halving() {
  TableSoftmaxParams params;
  for (int d = 0; d < 256; ++d) params.exp.push_back(d < 16 ? kTableExpOne >> d : 0);
  return params;
}

TEST(TableSoftmax, ByHand) {
  // e = 32768, 16384, 8192, 0: sum 57344, floor(2^48 / 57344) = 4908534052; in 2^-8, 146.3, 73.1,
  // 36.6 and 0.
  EXPECT_EQ(Evaluate({10, 9, 8, -100}, Halving()), (Row{146, 73, 37, 0}));
  EXPECT_EQ(Evaluate({-3}, Halving(), 1), Row{255});  // 256
  EXPECT_EQ(Evaluate({7, 7}, Halving()), (Row{128, 128}));
  TableSoftmaxParams fine = Halving();
  fine.extra_bits = 2;  // in 2^-10, 512 equal scores have 2
  EXPECT_EQ(Evaluate(Row(512, 4), fine), Row(512, 2));
  fine.extra_bits = 0;  // one half, which goes up
  EXPECT_EQ(Evaluate(Row(512, 4), fine), Row(512, 1));
  EXPECT_EQ(Evaluate(Row(513, 4), fine), Row(513, 0));
}

TEST(TableSoftmax, TwoTables) {
  TableSoftmaxParams params = Halving();
  params.exp_high = {kTableExpOne, 3};
  EXPECT_EQ(TableExp(params, 2), 8192);
  EXPECT_EQ(TableExp(params, 256), 3);
  EXPECT_EQ(TableExp(params, 257), 2);  // 1.5
  EXPECT_EQ(TableExp(params, 259), 0);  // 3/8
  EXPECT_EQ(TableExp(params, 511), 0);
  EXPECT_EQ(TableExp(params, std::int64_t{1} << 32), TableExp(params, 511));
}

TEST(TableSoftmax, RejectsTables) {
  const auto rejected = [](const auto& change) {
    TableSoftmaxParams params = Halving();
    change(params);
    EXPECT_THROW(CheckSoftmaxParams(params), std::invalid_argument);
  };
  rejected([](auto& p) { p.exp.pop_back(); });
  rejected([](auto& p) { p.exp[0] = 32767; });
  rejected([](auto& p) { p.exp[9] = -1; });
  rejected([](auto& p) { p.exp[9] = 32769; });
  rejected([](auto& p) { p.exp_high = {kTableExpOne}; });
  rejected([](auto& p) { p.exp_high.assign(257, kTableExpOne); });
  rejected([](auto& p) { p.extra_bits = 8; });
}

// ---- divided after the product ----

Row Exponentials(const Row& scores, const SoftmaxParams& params, std::int64_t saturated = 0) {
  Row y(scores.size());
  EXPECT_EQ(SoftmaxExponentials(scores, params, y), saturated);
  return y;
}

TEST(SoftmaxExponentials, ByHand) {
  // e = 2^(15 - d): 255, 127.5, 63.75, .. of 2^15.
  const Row halves = {255, 128, 64, 32, 16, 8, 4, 2, 1, 0};
  EXPECT_EQ(Exponentials({9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, Halving()), halves);
  // 256 >> p: 256 is 255, and 1 is 0.996.
  const Row ita = {255, 128, 64, 32, 16, 8, 4, 2, 1, 0};
  EXPECT_EQ(Exponentials({9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, Ita({.shift_bits = 0})), ita);
  EXPECT_EQ(Exponentials({9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, Streaming({.shift_bits = 0, .group = 1})),
            ita);
  // (|x0| - |r| / 2) 2^(n - q) of 16 2^15 (ShiftExp.ByHand): 31/32, 30/32, 28/32 of 255.
  EXPECT_EQ(Exponentials({5, 4, 3, 2}, Shiftmax({.x0 = -16})), (Row{255, 247, 239, 223}));
  // (p + 2)^2 + 4 of 8, log2 = 3: p = -1 gives 5, -2 gives 4; -3 is half of 8.
  const IsoftmaxParams own{.coeff_a = 1, .coeff_b = 2, .coeff_c = 4, .log2 = 3};
  EXPECT_EQ(Exponentials({0, -1, -2, -3}, Deeploy(own)), (Row{255, 159, 128, 128}));
  // Beyond 31 log2 the polynomial grows past its value at the maximum.
  EXPECT_EQ(Exponentials({0, -1000000000}, Deeploy(own), 1), (Row{255, 255}));
  EXPECT_EQ(Exponentials({3, -100, 3}, Tflite({.beta_left_shift = 23, .diff_min = -50})),
            (Row{255, 0, 255}));
}

TEST(SoftmaxExponentials, FillTheCodesOfAnyRow) {
  for (const std::size_t length : {1U, 2U, 257U, 4096U, 65536U}) {
    EXPECT_EQ(Exponentials(Row(length, -7), Halving()), Row(length, 255));
    Row one(length, -100), hot(length, 0);
    one[length / 2] = 100;
    hot[length / 2] = 255;
    EXPECT_EQ(Exponentials(one, Halving()), hot);
  }
  Row y(3);
  const std::vector<std::uint8_t> visible = {0, 1, 1}, nothing = {0, 0, 0};
  EXPECT_EQ(MaskedSoftmax(Row{100, 1, 0}, visible, Halving(), y, SoftmaxDivision::kAfter), 0);
  EXPECT_EQ(y, (Row{0, 255, 128}));
  MaskedSoftmax(Row{100, 1, 0}, nothing, Halving(), y, SoftmaxDivision::kAfter);
  EXPECT_EQ(y, (Row{0, 0, 0}));
}

TEST(SoftmaxExponentials, OfLogIntAreShifts) {
  // k below the maximum halves it.
  const LogIntSoftmaxParams params{.exp = {.x0 = -9, .b = 35, .c = 470, .n = 30}, .code_bits = 4};
  EXPECT_EQ(Exponentials({0, -9, -18, -9 * 15, -9 * 16, -9 * 30}, params),
            (Row{0, 1, 2, 15, 16, 16}));
  Row y(2);
  MaskedSoftmax(Row{5, 4}, std::vector<std::uint8_t>{1, 0}, params, y, SoftmaxDivision::kAfter);
  EXPECT_EQ(y, (Row{0, 16}));
}

}  // namespace
}  // namespace qsim::testing
