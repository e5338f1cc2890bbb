#include "golden/ops/gelu/shiftgelu.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/require.h"
#include "golden/ops/softmax/shift_exp.h"

namespace qsim::golden {

void CheckShiftGelu(const ShiftGeluParams& params) {
  CheckShiftExp(params.x0, params.n);
  Require(params.output_bits >= 1 && params.output_bits <= 32,
          "Gelu: output_bits must be in 1..32");
}

void ShiftGeluSigmoid(std::span<const std::int64_t> x, const ShiftGeluParams& params,
                      std::span<std::int64_t> sigmoid_int) {
  constexpr std::int64_t kMaxSum = (std::int64_t{1} << 31) - 1;
  const std::int64_t largest = *std::max_element(x.begin(), x.end());
  // ShiftExp caps it at 2^62; the sum is clamped to far less, so no result changes.
  const std::int64_t exp_of_zero = ShiftExp(-largest, params.x0, params.n);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t e = ShiftExp(x[i] - largest, params.x0, params.n);
    const std::int64_t sum = std::min(e + exp_of_zero, kMaxSum);
    sigmoid_int[i] = (e * (kMaxSum / sum)) >> (32 - params.output_bits);
  }
}

}  // namespace qsim::golden
