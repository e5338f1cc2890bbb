#include "golden/ops/gelu/ibert.h"

#include "golden/ops/gelu/erf_polynomial.h"
#include "golden/ops/require.h"

namespace qsim::golden {

void CheckGeluIbert(const GeluIbertParams& params) {
  constexpr std::int64_t kLowest = -(std::int64_t{1} << 62);
  Require(params.b >= -(std::int64_t{1} << 31) && params.b <= -1, "Gelu: b must be in -2^31..-1");
  Require(params.c >= kLowest && params.c <= -1, "Gelu: c must be in -2^62..-1");
  Require(params.shift_int >= kLowest && params.shift_int <= -1,
          "Gelu: shift_int must be in -2^62..-1");
  Require(params.n >= 0 && params.n <= 30, "Gelu: n must be in 0..30");
}

GeluIbertValue GeluIbert(std::int64_t x, const GeluIbertParams& params) {
  const Int128 erf_int = (SignOf(x) * (ClippedSquare(x, params.b) + params.c)) >> params.n;
  return {erf_int, x * (erf_int + params.shift_int)};
}

}  // namespace qsim::golden
