#include "golden/ops/gelu/deeploy.h"

#include "golden/ops/gelu/erf_polynomial.h"
#include "golden/ops/require.h"

namespace qsim::golden {

void CheckGeluDeeploy(const GeluDeeployParams& params) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 62;
  Require(params.b >= -(std::int64_t{1} << 31) && params.b <= -1, "Gelu: b must be in -2^31..-1");
  Require(params.one >= -kLargest && params.one <= kLargest, "Gelu: |one| must be at most 2^62");
}

Int128 GeluDeeploy(std::int64_t a, const GeluDeeployParams& params) {
  const Int128 one = params.one;
  return a * ((one + SignOf(a) * (one - ClippedSquare(a, params.b))) >> 1);
}

}  // namespace qsim::golden
