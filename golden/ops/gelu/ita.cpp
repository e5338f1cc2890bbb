#include "golden/ops/gelu/ita.h"

#include <algorithm>

#include "golden/ops/gelu/erf_polynomial.h"
#include "golden/ops/require.h"

namespace qsim::golden {

void CheckGeluIta(const GeluItaParams& params) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 62;
  Require(params.q_b >= -(std::int64_t{1} << 31) && params.q_b <= -1,
          "Gelu: q_b must be in -2^31..-1");
  Require(params.q_c >= -kLargest && params.q_c <= kLargest, "Gelu: |q_c| must be at most 2^62");
  Require(params.q_1 >= -kLargest && params.q_1 <= kLargest, "Gelu: |q_1| must be at most 2^62");
}

Int128 GeluIta(std::int64_t x, const GeluItaParams& params) {
  const std::int64_t q = std::max<std::int64_t>(x, -127);
  return q * (SignOf(q) * (ClippedSquare(q, params.q_b) + params.q_c) + params.q_1);
}

}  // namespace qsim::golden
