#include "golden/ops/softmax/isoftmax.h"

#include <algorithm>
#include <vector>

#include "golden/ops/int128.h"
#include "golden/ops/require.h"

namespace qsim::golden {

Int128 IsoftmaxExp(const IsoftmaxParams& params, std::int64_t distance) {
  const std::int64_t z = std::min<std::int64_t>(distance / params.log2, 31);
  const Int128 base = -distance + z * params.log2 + params.coeff_b;
  return (params.coeff_a * base * base + params.coeff_c) >> z;
}

void CheckIsoftmax(const IsoftmaxParams& params) {
  constexpr std::int64_t kLargestC = std::int64_t{1} << 62;
  Require(params.coeff_a >= 0, "Isoftmax: coeff_a must be in 0..2^31 - 1");
  Require(params.coeff_b > INT32_MIN, "Isoftmax: coeff_b must be in -(2^31 - 1)..2^31 - 1");
  Require(params.coeff_c >= 0 && params.coeff_c <= kLargestC,
          "Isoftmax: coeff_c must be in 0..2^62");
  Require(params.log2 >= 1, "Isoftmax: log2 must be at least 1");
  Require(params.levels >= 2 && params.levels <= 65536, "Isoftmax: levels must be in 2..65536");
  Require(params.output_offset >= -65536 && params.output_offset <= 65536,
          "Isoftmax: output_offset must be in -65536..65536");
  // The row's maximum has this exponential, so every row's sum is at least 1.
  Require(IsoftmaxExp(params, 0) >= 1, "Isoftmax: the polynomial turns the row maximum into 0");
}

QuantRange IsoftmaxRange(const IsoftmaxParams& params) {
  return {params.output_offset, params.output_offset + params.levels - 1};
}

void Isoftmax(std::span<const std::int32_t> scores, const IsoftmaxParams& params,
              std::span<std::int32_t> out) {
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  std::vector<Int128> exps(scores.size());
  std::transform(scores.begin(), scores.end(), exps.begin(),
                 [&](std::int32_t x) { return IsoftmaxExp(params, row_max - x); });
  Int128 sum = 0;
  for (const Int128 value : exps) sum += value;
  std::transform(exps.begin(), exps.end(), out.begin(), [&](Int128 value) {
    return static_cast<std::int32_t>(value * (params.levels - 1) / sum) + params.output_offset;
  });
}

}  // namespace qsim::golden
