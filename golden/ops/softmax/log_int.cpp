#include "golden/ops/softmax/log_int.h"

#include <algorithm>
#include <vector>

#include "golden/ops/int128.h"
#include "golden/ops/require.h"

namespace qsim::golden {

std::int32_t LogIntCode(Int128 sum, std::int64_t exp_int, int code_bits) {
  const std::int32_t zero = 1 << code_bits;
  if (exp_int == 0) return zero;
  Int128 ratio = sum / exp_int;
  const Int128 twice_rest = 2 * (sum % exp_int);
  if (twice_rest > exp_int || (twice_rest == exp_int && (ratio & 1) != 0)) ++ratio;
  int log = 0;
  while ((ratio >> (log + 1)) != 0) ++log;
  const Int128 power = Int128{1} << log;
  if (2 * (ratio - power) >= power) ++log;
  return log < zero ? log : zero;
}

void CheckLogIntSoftmax(const LogIntSoftmaxParams& params) {
  CheckIbertExp(params.exp);
  Require(params.code_bits >= 1 && params.code_bits <= 8, "Softmax: code_bits must be in 1..8");
}

void LogIntSoftmax(std::span<const std::int32_t> scores, const LogIntSoftmaxParams& params,
                   std::span<std::int32_t> out, std::span<std::int64_t> exp_int) {
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  std::vector<std::int64_t> exps(scores.size());
  std::transform(scores.begin(), scores.end(), exps.begin(),
                 [&](std::int32_t x) { return EvaluateIbertExp(params.exp, x - row_max); });
  Int128 sum = 0;
  for (const std::int64_t value : exps) sum += value;
  if (!exp_int.empty()) std::copy(exps.begin(), exps.end(), exp_int.begin());
  std::transform(exps.begin(), exps.end(), out.begin(),
                 [&](std::int64_t value) { return LogIntCode(sum, value, params.code_bits); });
}

}  // namespace qsim::golden
