#include "golden/ops/softmax/shiftmax.h"

#include <algorithm>
#include <vector>

#include "golden/ops/int128.h"
#include "golden/ops/require.h"
#include "golden/ops/softmax/shift_exp.h"

namespace qsim::golden {
namespace {

constexpr std::int64_t kLargestFactor = (std::int64_t{1} << 31) - 1;

// The exponential of the row's maximum, the largest of every row.
std::int64_t LargestExp(const ShiftmaxParams& params) {
  return -std::int64_t{params.x0} << params.n;
}

}  // namespace

void CheckShiftmax(const ShiftmaxParams& params) {
  CheckShiftExp(params.x0, params.n);
  Require(params.output_bits >= 1 && params.output_bits <= 16,
          "Shiftmax: output_bits must be in 1..16");
  Require(LargestExp(params) < std::int64_t{1} << (63 - params.output_bits),
          "Shiftmax: |x0| 2^n must be below 2^(63 - output_bits)");
}

QuantRange ShiftmaxRange(const ShiftmaxParams& params) {
  // A single maximum gives largest * floor(kLargestFactor / largest): kLargestFactor at most where
  // that fits the sum.
  const std::int64_t largest = LargestExp(params);
  const std::int64_t bound = std::max(kLargestFactor, largest) >> (32 - params.output_bits);
  return {0, static_cast<std::int32_t>(bound)};
}

void Shiftmax(std::span<const std::int32_t> scores, const ShiftmaxParams& params,
              std::span<std::int32_t> out, std::span<std::int64_t> exp_int) {
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  std::vector<std::int64_t> exps(scores.size());
  std::transform(scores.begin(), scores.end(), exps.begin(),
                 [&](std::int32_t x) { return ShiftExp(x - row_max, params.x0, params.n); });
  if (!exp_int.empty()) std::copy(exps.begin(), exps.end(), exp_int.begin());
  Int128 sum = 0;
  for (const std::int64_t value : exps) sum += value;
  const Int128 factor = kLargestFactor / std::min(sum, Int128{kLargestFactor});
  std::transform(exps.begin(), exps.end(), out.begin(), [&](std::int64_t value) {
    return static_cast<std::int32_t>((value * factor) >> (32 - params.output_bits));
  });
}

}  // namespace qsim::golden
