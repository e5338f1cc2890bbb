// The GELUs of I-ViT, ITA and Deeploy: values by hand, every rounding, every limit.
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "golden/ops/gelu.h"
#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

using Wide = std::vector<std::int64_t>;
using Row = std::vector<std::int32_t>;

struct Result {
  Row q;
  Wide y, sigmoid_int;
  std::int64_t saturated = 0;
};

Result Evaluate(const Row& x, const GeluParams& params, const GeluShape& shape = {}) {
  Result result{.q = Row(x.size()), .y = Wide(x.size()), .sigmoid_int = Wide(x.size())};
  result.saturated =
      Gelu(x, params, shape, result.q, {.sigmoid_int = result.sigmoid_int, .y = result.y});
  return result;
}

GeluItaParams Ita(std::int64_t q_1, std::int64_t q_b, std::int64_t q_c) {
  return {.q_1 = q_1, .q_b = q_b, .q_c = q_c};
}

TEST(GeluIta, ByHand) {
  // 1 * ((1 - 3)^2 - 10 + 5), 2 * ((2 - 3)^2 - 10 + 5), 3 * (0 - 10 + 5); -1 * (-(4 - 10) + 5), ...
  EXPECT_EQ(Evaluate({-128, -127, -4, -3, -2, -1, 0, 1, 2, 3, 4, 127}, Ita(5, -3, -10)).y,
            (Wide{-1905, -1905, -60, -45, -28, -11, 0, -1, -8, -15, -20, -635}));
}

// With q_b = -1 and q_c = 0, x = 1 gives y = q_1.
std::int32_t ItaLastStep(std::int64_t y, Multiplier scale, std::int32_t add = 0) {
  GeluItaParams params = Ita(y, -1, 0);
  params.scale = scale;
  params.zero = add;
  const Result result = Evaluate({1}, params);
  EXPECT_EQ(result.y, Wide{y});
  return result.q[0];
}

TEST(GeluIta, LastStepTies) {
  EXPECT_EQ(ItaLastStep(-3, {1, 1}), -1);
  EXPECT_EQ(ItaLastStep(-1, {1, 1}), 0);
  EXPECT_EQ(ItaLastStep(1, {1, 1}), 1);
  EXPECT_EQ(ItaLastStep(3, {1, 1}), 2);
  EXPECT_EQ(ItaLastStep(3, {-1, 1}, 5), 4);  // eps_add after the rounding
  EXPECT_EQ(ItaLastStep(3, {7, 0}), 21);
  EXPECT_EQ(ItaLastStep(300, {1, 1}), 127);
  // 2^-23 lifts what is at most that far below a tie, from a shift of 23 on.
  EXPECT_EQ(ItaLastStep((1 << 21) - 1, {1, 22}), 0);
  EXPECT_EQ(ItaLastStep((1 << 22) - 1, {1, 23}), 1);
  EXPECT_EQ(ItaLastStep((1 << 23) - 2, {1, 24}), 1);
  EXPECT_EQ(ItaLastStep((1 << 23) - 3, {1, 24}), 0);
}

GeluDeeployParams Deeploy(std::int64_t b, std::int64_t one) { return {.b = b, .one = one}; }

TEST(GeluDeeploy, ByHandAndHalvesFloor) {
  // a = 2: d^2 = 1: (3 + 2) >> 1 = 2; a = -1: d^2 = 4 >> 1; a = -2: 1 >> 1 = 0.
  const Row x = {-4, -3, -2, -1, 0, 1, 2, 3, 4};
  EXPECT_EQ(Evaluate(x, Deeploy(-3, 3)).y, (Wide{0, 0, 0, -2, 0, 1, 4, 9, 12}));
  // one = -3, a = 2: (-3 - 4) >> 1 = -4.
  EXPECT_EQ(Evaluate(x, Deeploy(-3, -3)).y, (Wide{0, 0, 0, -2, 0, -5, -8, -9, -12}));
  GeluDeeployParams offset = Deeploy(-3, 3);
  offset.input_zero = -10;  // input_offset 10
  EXPECT_EQ(Evaluate({-8, -11}, offset).y, (Wide{4, -2}));
}

TEST(GeluDeeploy, LastStepTies) {
  // b = -1, one = 1: y = x for x > 0.
  const auto last = [](std::int32_t x, Multiplier scale, std::int64_t add,
                       std::int32_t offset = 0) {
    GeluDeeployParams params = Deeploy(-1, 1);
    params.scale = scale;
    params.addend = add;
    params.zero = offset;
    return Evaluate({x}, params).q[0];
  };
  EXPECT_EQ(last(3, {-1, 1}, 0), -1);
  EXPECT_EQ(last(1, {-1, 1}, 0), 0);
  EXPECT_EQ(last(1, {1, 1}, 0), 1);
  EXPECT_EQ(last(3, {1, 1}, 0), 2);
  EXPECT_EQ(last(1, {5, 2}, 1), 2);        // (5 + 1) / 4 = 1.5: add before the shift
  EXPECT_EQ(last(1, {5, 2}, -7, 10), 10);  // -2 / 4 = -0.5
  EXPECT_EQ(last(100, {3, 0}, 0), 127);
}

ShiftGeluParams ShiftGelu(std::int32_t x0, int n, int output_bits) {
  return {.x0 = x0, .n = n, .output_bits = output_bits};
}

// Values of a separate script in exact rationals.
TEST(ShiftGelu, RowsOfASeparateScript) {
  const auto check = [](const Row& x, const GeluParams& params, const Wide& sigmoid,
                        const Wide& y) {
    const Result result = Evaluate(x, params);
    EXPECT_EQ(result.sigmoid_int, sigmoid);
    EXPECT_EQ(result.y, y);
  };
  check({-3, 0, 2, 7}, ShiftGelu(-3, 23, 8), {36, 63, 85, 115}, {-108, 0, 170, 805});
  // The exponential of -rowmax passes any width; the sum is clamped, e is not.
  check({-128, -100, -5}, ShiftGelu(-3, 23, 8), {0, 0, 19}, {0, 0, -95});
  check({-32768, -20000, -1000}, ShiftGelu(-452, 23, 8), {0, 0, 226}, {0, 0, -226000});
  check({127}, ShiftGelu(-13, 23, 8), {123}, {15621});
  check({5, 4, -9}, ShiftGelu(-7, 4, 8), {85, 83, 28}, {425, 332, -252});
  check({-2, 1, 3}, ShiftGelu(-40, 2, 16), {16054, 16596, 16804}, {-32108, 16596, 50412});
  check({3, -60, 3}, ShiftGelu(-1, 3, 32), {1908874352, 1073741823, 1908874352},
        {5726623056, -64424509380, 5726623056});
}

TEST(ShiftGelu, RowsAreIndependent) {
  const GeluParams params = ShiftGelu(-3, 23, 8);
  const Result two = Evaluate({-3, 0, 2, 7, 7, 7, 7, 7}, params, {.row_length = 4});
  EXPECT_EQ(two.sigmoid_int, (Wide{36, 63, 85, 115, 115, 115, 115, 115}));
  const Result alone = Evaluate({-3, 7}, params, {.row_length = 1});
  EXPECT_EQ(alone.sigmoid_int[0], Evaluate({-3}, ShiftGelu(-3, 23, 8)).sigmoid_int[0]);
  EXPECT_THROW(Evaluate({1, 2, 3, 4}, params, {.row_length = 3}), std::invalid_argument);
  EXPECT_THROW(Evaluate({1}, params, {.row_length = -1}), std::invalid_argument);
}

TEST(ShiftGelu, LastStepTies) {
  // The row {-3, 0, 2, 7} has y = 805 at its end; 805 / 2 and 805 * 3 / 2 are ties.
  const auto last = [](std::int32_t m, Rounding rounding) {
    ShiftGeluParams params = ShiftGelu(-3, 23, 8);
    params.scale = {m, 1};
    params.rounding = rounding;
    return Evaluate({-3, 0, 2, 7}, params, {{-32768, 32767}}).q[3];
  };
  EXPECT_EQ(last(1, Rounding::kHalfUp), 403);
  EXPECT_EQ(last(-1, Rounding::kHalfUp), -402);
  EXPECT_EQ(last(-1, Rounding::kHalfAway), -403);
  EXPECT_EQ(last(3, Rounding::kHalfEven), 1208);
  EXPECT_EQ(last(1, Rounding::kHalfEven), 402);
}

// Everything that CheckGeluParams accepts runs for every |x'| <= kMaxGeluInput.
TEST(GeluSchemes, ProgramLimitsNeverLeave64Bits) {
  const auto limit = static_cast<std::int32_t>(kMaxGeluInput);
  const Row x = {-limit, -limit + 1, -65537, -1, 0, 1, 127, 65536, limit};
  std::vector<GeluParams> extremes;
  for (const std::int64_t b : {std::int64_t{-1}, -kMaxGeluB}) {
    for (const std::int64_t c : {-kMaxGeluC, kMaxGeluC}) {
      extremes.push_back(Ita(kMaxGeluC, b, c));
      extremes.push_back(Ita(-kMaxGeluC, b, c));
      extremes.push_back(Deeploy(b, c));
    }
  }
  for (const std::int32_t x0 : {-1, -kMaxShiftGeluX0}) {
    for (const int n : {0, 30}) {
      for (const int bits : {1, kMaxShiftGeluBits}) extremes.push_back(ShiftGelu(x0, n, bits));
    }
  }
  for (GeluParams params : extremes) {
    std::visit(
        [](auto& p) {
          if constexpr (requires { p.scale; }) {
            p.scale = {-INT32_MAX, 0};
            p.zero = INT32_MIN;
          }
          if constexpr (requires { p.addend; }) p.addend = kMaxGeluAddend;
        },
        params);
    EXPECT_NO_THROW(CheckGeluParams(params));
    EXPECT_NO_THROW(Evaluate(x, params));
  }
}

TEST(GeluSchemes, WiderParametersRunUntilYLeaves64Bits) {
  const Row highest = {std::numeric_limits<std::int32_t>::max()};
  constexpr std::int64_t kLargest = std::int64_t{1} << 62;
  EXPECT_THROW(Evaluate(highest, Deeploy(-1, kLargest)), std::invalid_argument);
  EXPECT_EQ(Evaluate({1}, Deeploy(-1, kLargest)).y, Wide{kLargest});
  EXPECT_THROW(CheckGeluParams(Deeploy(-1, kLargest)), std::invalid_argument);
  EXPECT_EQ(Evaluate({1}, Ita(kLargest, -1, kLargest - 1)).y, Wide{2 * (kLargest - 1) + 1});
  EXPECT_THROW(Evaluate({1}, Ita(kLargest, -1, kLargest)), std::invalid_argument);
  EXPECT_THROW(Evaluate(highest, ShiftGelu(INT32_MIN, 30, 32)), std::invalid_argument);
  EXPECT_THROW(CheckGeluParams(ShiftGelu(-kMaxShiftGeluX0 - 1, 23, 8)), std::invalid_argument);
  EXPECT_THROW(CheckGeluParams(ShiftGelu(-1, 23, kMaxShiftGeluBits + 1)), std::invalid_argument);
  EXPECT_THROW(CheckGeluParams(Ita(kMaxGeluC + 1, -1, 0)), std::invalid_argument);
  EXPECT_THROW(CheckGeluParams(Ita(0, -kMaxGeluB - 1, 0)), std::invalid_argument);
  EXPECT_THROW(CheckGeluParams(Ita(0, -1, -kMaxGeluC - 1)), std::invalid_argument);
  EXPECT_THROW(CheckGeluParams(Deeploy(-kMaxGeluB - 1, 0)), std::invalid_argument);
}

TEST(GeluSchemes, BrokenParametersThrow) {
  for (const GeluParams& params : std::vector<GeluParams>{
           Ita(0, 0, 0), Ita(INT64_MAX, -1, 0), Ita(0, -1, INT64_MIN), Ita(0, INT32_MIN - 1LL, 0),
           Deeploy(0, 1), Deeploy(-1, INT64_MAX), Deeploy(INT32_MIN - 1LL, 0), ShiftGelu(0, 23, 8),
           ShiftGelu(-1, 31, 8), ShiftGelu(-1, -1, 8), ShiftGelu(-1, 23, 0),
           ShiftGelu(-1, 23, 33)}) {
    EXPECT_THROW(Evaluate({1}, params), std::invalid_argument);
    EXPECT_THROW(CheckGeluParams(params), std::invalid_argument);
  }
}

}  // namespace
}  // namespace qsim::testing
