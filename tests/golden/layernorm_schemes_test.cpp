// The layer norms of I-ViT, Deeploy and FQ-ViT: values by hand, every rounding, every limit.
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "golden/ops/layernorm.h"
#include "golden/ops/layernorm/fqvit.h"
#include "golden/ops/layernorm/ivit.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Wide = std::vector<std::int64_t>;
using Row = std::vector<std::int32_t>;

TEST(LayernormKind, Names) {
  const std::vector<std::string_view> names = {"ibert", "ivit", "rq_layernorm", "fqvit"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto kind = static_cast<LayernormKind>(i);
    EXPECT_EQ(Name(kind), names[i]);
    EXPECT_EQ(FromName<LayernormKind>(names[i]), kind);
  }
  EXPECT_EQ(FromName<LayernormKind>("deeploy"), std::nullopt);
}

// Values of a separate script; nine or eleven steps, a rounded quotient or a rounded half differ in
// at least one of them.
TEST(IvitStd, StopsAfterTenFlooredNewtonSteps) {
  const auto std_of = [](const Wide& d) { return IvitStd(d, 0); };
  EXPECT_EQ(std_of({0}), 64);
  EXPECT_EQ(std_of({1}), 64);
  EXPECT_EQ(std_of({100}), 108);
  EXPECT_EQ(std_of({1000, 7}), 1000);
  EXPECT_EQ(std_of({77, -5, 3}), 91);
  EXPECT_EQ(std_of({300, -1}), 300);
  EXPECT_EQ(std_of({-70000}), 70000);
  EXPECT_EQ(std_of({16776960}), 16788218);
  EXPECT_EQ(std_of({std::int64_t{1} << 31}), 68741844879);
}

// Under the root like any other square: 1000^2 + 7^2.
TEST(IvitStd, EpsIsOneMoreSquare) {
  EXPECT_EQ(IvitStd({}, 0), 64);
  EXPECT_EQ(IvitStd(Wide{1000}, 49), IvitStd(Wide{1000, 7}, 0));
  EXPECT_EQ(IvitStd(Wide{0}, 5929 + 25 + 9), 91);
  EXPECT_EQ(IvitStd(Wide{0}, std::int64_t{1} << 62), 68741844879);
}

struct Result {
  Row q;
  Wide y;
  std::int64_t std_int = 0;
  std::int64_t saturated = 0;
};

Result Evaluate(const Row& x, const LayernormParams& params, QuantRange range = {}) {
  Result result{.q = Row(x.size()), .y = Wide(x.size())};
  result.saturated =
      Layernorm(x, params, range, result.q, {.y = result.y, .std_int = &result.std_int});
  return result;
}

Result Ivit(const Row& x, Multiplier scale = {1, 23}, Rounding rounding = Rounding::kHalfEven) {
  return Evaluate(
      x, IvitLayernormParams{
             .bias = Wide(x.size(), 0), .scale = {scale}, .zero = {0}, .rounding = rounding});
}

TEST(LayernormIvit, ByHand) {
  // mean half_even(1/2) = 0, std 64 for a sum of 1; (2^31 - 1) / 64 = 33554431, halved and floored.
  // With 2^31 it would be 16777216 and -16777216.
  EXPECT_EQ(Ivit({0, 1}).y, (Wide{0, 16777215}));
  EXPECT_EQ(Ivit({0, -1}).y, (Wide{0, -16777216}));
  EXPECT_EQ(Ivit({0, 1}).std_int, 64);
  EXPECT_EQ(Ivit({77, 5, -82}).std_int, 119);  // the root of 12678 is 112
  EXPECT_EQ(Ivit({5}).y, Wide{0});
  EXPECT_EQ(Ivit({-7, -7, -7}).std_int, 64);
}

TEST(LayernormIvit, MeanTiesToEven) {
  for (std::int32_t base = -6; base <= 6; ++base) {
    const Result result = Ivit({base, base + 1});
    EXPECT_EQ(result.y[0] == 0, base % 2 == 0) << base;
  }
}

// y is -16777216 for d = -1 and its half is a tie at 2^25.
TEST(LayernormIvit, LastStepTies) {
  // y / 2^25 = -1/2 times 3, 1, -1, -3.
  const std::vector<std::int32_t> multipliers = {3, 1, -1, -3};
  Row even, up;
  for (const std::int32_t m : multipliers) {
    even.push_back(Ivit({0, -1}, {m, 25}).q[1]);
    up.push_back(Ivit({0, -1}, {m, 25}, Rounding::kHalfUp).q[1]);
  }
  EXPECT_EQ(even, (Row{-2, 0, 0, 2}));
  EXPECT_EQ(up, (Row{-1, 0, 1, 2}));
}

// The widest values that the operation takes, with UBSan watching: 65,536 times the largest d.
TEST(LayernormLimits, WidestRow) {
  constexpr std::size_t kLongest = 65536;
  constexpr std::int64_t kMaxBias = std::int64_t{1} << 62;
  Row x(kLongest, std::numeric_limits<std::int32_t>::max());
  for (std::size_t c = 0; c < kLongest; c += 2) x[c] = std::numeric_limits<std::int32_t>::min();
  const Row shift(kLongest, 4), zero = {65536}, weight(kLongest, INT32_MIN);
  const Wide bias(kLongest, -kMaxBias);
  const std::vector<Multiplier> scale = {{-INT32_MAX, 0}};
  const std::int32_t input_zero = std::numeric_limits<std::int32_t>::min();
  const IvitLayernormParams ivit{
      .input_zero = input_zero, .bias = bias, .input_shift = shift, .scale = scale, .zero = zero};
  const IbertLayernormParams ibert{
      .input_zero = input_zero, .bias = bias, .input_shift = shift, .scale = scale, .zero = zero};
  for (const LayernormParams& params : {LayernormParams(ibert), LayernormParams(ivit)}) {
    const Result result = Evaluate(x, params);
    EXPECT_GT(result.std_int, std::int64_t{1} << 42);
    EXPECT_EQ(result.y[0], -kMaxBias);  // the reciprocal of so large a root is 0
    EXPECT_EQ(result.q[0], 127);
  }
  const Row widest_shift(kLongest, 8);
  const IvitLayernormParams beyond{
      .bias = bias, .input_shift = widest_shift, .scale = scale, .zero = zero};
  EXPECT_THROW(Evaluate(x, beyond), std::invalid_argument);  // ten steps leave a root of 70 bits
  // s = 0 for the largest k: d (2^31 / 1) is the largest product, below 2^62.
  Row low(3);
  low[0] = std::numeric_limits<std::int32_t>::max();
  const Wide high_bias(3, kMaxBias);
  const Result shifted = Evaluate(
      low, IbertLayernormParams{.bias = high_bias, .std_shift = 31, .scale = scale, .zero = zero});
  EXPECT_EQ(shifted.std_int, std::int64_t{1} << 31);
  const Result deeploy = Evaluate(
      x, DeeployLayernormParams{
             .input_zero = -(std::int64_t{1} << 31), .bias = bias, .weight = weight, .wrap = true});
  EXPECT_EQ(deeploy.y[1], -kMaxBias - (std::int64_t{1} << 31) - 1);
}

Result Deeploy(const Row& x, const Row& weight, const Wide& bias, int log2d = 0,
               std::int64_t offset = 0, bool wrap = true) {
  return Evaluate(
      x, DeeployLayernormParams{
             .input_zero = -offset, .bias = bias, .weight = weight, .log2d = log2d, .wrap = wrap});
}

TEST(LayernormDeeploy, MeanIsTruncated) {
  // -5/2 -> -2 and 5/2 -> 2; the mean square 1/2 is floored: std = floor(sqrt(0 + 1)).
  EXPECT_EQ(Deeploy({-3, -2}, {10, 10}, {0, 0}).y, (Wide{-10, 0}));
  EXPECT_EQ(Deeploy({3, 2}, {10, 10}, {0, 0}).y, (Wide{10, 0}));
  EXPECT_EQ(Deeploy({3, 2}, {10, 10}, {0, 0}).std_int, 1);
  // The offset moves the sum before its division: 6 - 7, 5 - 7.
  EXPECT_EQ(Deeploy({6, 5}, {10, 10}, {0, 0}, 0, -7).y, (Wide{0, -10}));
}

TEST(LayernormDeeploy, RootOfTheMeanPlusOne) {
  const auto std_of = [](const Row& x) {
    return Deeploy(x, Row(x.size(), 1), Wide(x.size(), 0)).std_int;
  };
  EXPECT_EQ(std_of({7, 7, 7}), 1);   // 0 + 1
  EXPECT_EQ(std_of({0, 3}), 1);      // mean 1, (1 + 4) / 2 = 2, + 1 = 3
  EXPECT_EQ(std_of({-2, 2, 1}), 2);  // 9 / 3 + 1 = 4
  EXPECT_EQ(std_of({-4, 4}), 4);     // 17
  EXPECT_EQ(std_of({-128}), 1);
}

// (sum of squares + eps) / C, floored, + 1.
TEST(LayernormDeeploy, EpsIsPartOfTheSumOfSquares) {
  const auto std_of = [](const Row& x, std::int64_t eps) {
    return Evaluate(x,
                    DeeployLayernormParams{
                        .bias = Wide(x.size(), 0), .weight = Row(x.size(), 1), .eps = eps})
        .std_int;
  };
  EXPECT_EQ(std_of({-2, 2, 1}, 14), 2);  // 23 / 3 = 7, + 1 = 8
  EXPECT_EQ(std_of({-2, 2, 1}, 15), 3);  // 24 / 3 = 8, + 1 = 9
  EXPECT_EQ(std_of({7, 7}, 30), 4);      // 15 + 1
  EXPECT_EQ(std_of({7}, std::int64_t{1} << 62), std::int64_t{1} << 31);
  EXPECT_THROW(std_of({7}, -1), std::invalid_argument);
}

TEST(LayernormDeeploy, QuotientIsTruncated) {
  // std 2: 1 * 3 / 2 = 1.5 and 1 * -3 / 2 = -1.5, both toward zero.
  EXPECT_EQ(Deeploy({-2, 2, 1}, {3, 3, 3}, {0, 0, 0}).y, (Wide{-3, 3, 1}));
  EXPECT_EQ(Deeploy({-2, 2, 1}, {3, 3, -3}, {0, 0, 0}).y, (Wide{-3, 3, -1}));
}

TEST(LayernormDeeploy, LastShiftFloors) {
  EXPECT_EQ(Deeploy({5, 5, 5, 5}, {1, 1, 1, 1}, {-3, -1, 1, 3}, 1).y, (Wide{-2, -1, 0, 1}));
  EXPECT_EQ(Deeploy({5, 5}, {1, 1}, {-1, 1}, 62).y, (Wide{-1, 0}));
}

TEST(LayernormDeeploy, WrapsOrClamps) {
  const Row x(4, 5), weight(4, 1);
  const Wide bias = {128, 200, -129, -128};
  const Result wrapped = Deeploy(x, weight, bias);
  EXPECT_EQ(wrapped.q, (Row{-128, -56, 127, -128}));
  EXPECT_EQ(wrapped.saturated, 0);
  const Result clamped = Deeploy(x, weight, bias, 0, 0, /*wrap=*/false);
  EXPECT_EQ(clamped.q, (Row{127, 127, -128, -128}));
  EXPECT_EQ(clamped.saturated, 3);
  EXPECT_EQ(clamped.y, bias);
}

TEST(LayernormDeeploy, ArgumentsOutOfRangeThrow) {
  const Row one = {1};
  const Wide zero = {0};
  EXPECT_NO_THROW(Deeploy(one, one, zero));
  EXPECT_THROW(Deeploy({1, 2}, one, zero), std::invalid_argument);
  EXPECT_THROW(Deeploy({1, 2}, {1, 1}, zero), std::invalid_argument);
  EXPECT_THROW(Deeploy({}, {}, {}), std::invalid_argument);
  EXPECT_THROW(Deeploy(one, one, zero, -1), std::invalid_argument);
  EXPECT_THROW(Deeploy(one, one, zero, 63), std::invalid_argument);
  EXPECT_THROW(Deeploy(one, one, {INT64_MAX}), std::invalid_argument);
  EXPECT_THROW(Deeploy(one, one, zero, 0, (std::int64_t{1} << 31) + 1), std::invalid_argument);
}

Wide Fqvit(const Row& x, const Row& mask, const Row& m, const Row& n, const Wide& b) {
  Wide y(x.size());
  LayernormFqvit(x, mask, m, n, b, y);
  return y;
}

TEST(LayernormFqvit, ByHandAndTiesToEven) {
  // (M z + B) / 2: -1.5, -0.5, 0.5, 1.5.
  EXPECT_EQ(Fqvit({1, 1, 1, 1}, {1, 1, 1, 1}, {0, 0, 0, 0}, {1, 1, 1, 1}, {-3, -1, 1, 3}),
            (Wide{-2, 0, 0, 2}));
  // (-5 * (3 * 4) + 7) / 4 = -13.25; (255 * -8 + 1) / 1; N = 31 loses all but B.
  EXPECT_EQ(Fqvit({3, -1, 9}, {4, 8, 1}, {-5, 255, 0}, {2, 0, 31}, {7, 1, std::int64_t{3} << 30}),
            (Wide{-13, -2039, 2}));
  EXPECT_EQ(Fqvit({INT32_MIN}, {1 << 20}, {-255}, {0}, {std::int64_t{1} << 62}),
            (Wide{255 * (std::int64_t{1} << 51) + (std::int64_t{1} << 62)}));
}

TEST(LayernormFqvit, ArgumentsOutOfRangeThrow) {
  EXPECT_NO_THROW(Fqvit({1}, {1}, {1}, {1}, {1}));
  EXPECT_THROW(Fqvit({1}, {0}, {1}, {1}, {1}), std::invalid_argument);
  EXPECT_THROW(Fqvit({1}, {(1 << 20) + 1}, {1}, {1}, {1}), std::invalid_argument);
  EXPECT_THROW(Fqvit({1}, {1}, {256}, {1}, {1}), std::invalid_argument);
  EXPECT_THROW(Fqvit({1}, {1}, {1}, {32}, {1}), std::invalid_argument);
  EXPECT_THROW(Fqvit({1}, {1}, {1}, {-1}, {1}), std::invalid_argument);
  EXPECT_THROW(Fqvit({1}, {1}, {1}, {1}, {INT64_MIN}), std::invalid_argument);
  EXPECT_THROW(Fqvit({1, 2}, {1}, {1}, {1}, {1}), std::invalid_argument);
}

}  // namespace
}  // namespace qsim::testing
