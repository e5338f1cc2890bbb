#include "golden/ops/softmax/tflite.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <vector>

#include "golden/ops/requant/tflite.h"
#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

// H and P of section 5.8.
constexpr auto HighMul = SaturatingRoundingDoublingHighMul;
constexpr auto DividePower = RoundingDivideByPowerOfTwo;

constexpr std::int64_t kOne = (std::int64_t{1} << 31) - 1;  // the most that Q0.31 holds

}  // namespace

std::int64_t TfliteExp(std::int64_t a) {
  Require(a <= 0 && a > INT64_MIN, "TfliteExp: the argument must be in -(2^63 - 1)..0");
  if (a == 0) return kOne;
  constexpr std::int64_t kQuarter = std::int64_t{1} << 24;
  const std::int64_t u = (a & (kQuarter - 1)) - kQuarter;  // -1/4 <= u / 2^26 < 0
  // Taylor's series about -1/8 to the fourth degree.
  const std::int64_t x = (u << 5) + (std::int64_t{1} << 28);
  const std::int64_t x2 = HighMul(x, x);
  const std::int64_t x3 = HighMul(x2, x);
  const std::int64_t x4 = HighMul(x2, x2);
  constexpr std::int64_t kExpOfMinusEighth = 1895147668;
  constexpr std::int64_t kThird = 715827883;
  const std::int64_t tail = DividePower(HighMul(DividePower(x4, 2) + x3, kThird) + x2, 1);
  std::int64_t value = kExpOfMinusEighth + HighMul(kExpOfMinusEighth, x + tail);
  // exp(-2^(i - 2)) for every bit of what u left.
  std::int64_t quarters = (u - a) >> 24;
  for (const std::int64_t factor :
       {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}) {
    if ((quarters & 1) != 0) value = HighMul(value, factor);
    quarters >>= 1;
  }
  return value;
}

std::int64_t TfliteReciprocal(std::int64_t a) {
  Require(a >= 0 && a <= kOne, "TfliteReciprocal: the argument must be in 0..2^31 - 1");
  const std::int64_t half = (a + kOne + 1) / 2;
  // 48/17 - 32/17 half, in Q2.29.
  std::int64_t x = 1515870810 + HighMul(half, -1010580540);
  for (int i = 0; i < 3; ++i) {
    const std::int64_t rest = (std::int64_t{1} << 29) - HighMul(half, x);
    x += HighMul(x, rest) * 4;  // the source saturates to 32 bits, which no argument reaches
  }
  return std::min(x * 2, kOne);
}

std::int64_t TfliteSoftmaxExp(const TfliteSoftmaxParams& params, std::int64_t distance) {
  if (-distance < params.diff_min) return 0;
  return TfliteExp(
      HighMul(-distance * (std::int64_t{1} << params.beta_left_shift), params.beta_multiplier));
}

void CheckTfliteSoftmax(const TfliteSoftmaxParams& params) {
  Require(params.beta_multiplier >= 0, "TfliteSoftmax: beta_multiplier must be in 0..2^31 - 1");
  Require(params.beta_left_shift >= 0 && params.beta_left_shift <= 31,
          "TfliteSoftmax: beta_left_shift must be in 0..31");
  Require(params.diff_min <= 0, "TfliteSoftmax: diff_min must be at most 0");
  Require(params.output_bits == 8 || params.output_bits == 16,
          "TfliteSoftmax: output_bits must be 8 or 16");
}

QuantRange TfliteSoftmaxRange(const TfliteSoftmaxParams& params) {
  const std::int32_t half = 1 << (params.output_bits - 1);
  return {-half, half - 1};
}

std::int64_t TfliteSoftmax(std::span<const std::int32_t> scores, const TfliteSoftmaxParams& params,
                           std::span<std::int32_t> out) {
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  const auto [lowest, highest] = TfliteSoftmaxRange(params);
  const auto is_small = [&](std::int32_t x) { return x - row_max < params.diff_min; };
  std::vector<std::int64_t> exps(scores.size());
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (is_small(scores[i])) continue;
    exps[i] = TfliteSoftmaxExp(params, row_max - scores[i]);
    sum += DividePower(exps[i], 12);
  }
  // Equations 5.27 to 5.29. The row's maximum adds 2^19, and kMaxTfliteSoftmaxRow keeps the sum in
  // 32 bits.
  const int headroom = std::countl_zero(static_cast<std::uint32_t>(sum));
  const std::int64_t inverse = TfliteReciprocal((sum << headroom) - kOne - 1);
  const int shift = 12 - headroom + 31 - params.output_bits;
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (is_small(scores[i])) {
      out[i] = lowest;
      continue;
    }
    const std::int64_t y = DividePower(HighMul(inverse, exps[i]), shift) + lowest;
    saturated += y > highest;
    out[i] = static_cast<std::int32_t>(std::min<std::int64_t>(y, highest));
  }
  return saturated;
}

}  // namespace qsim::golden
