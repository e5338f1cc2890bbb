#include "golden/ops/layernorm/ivit.h"

#include "golden/ops/int128.h"
#include "golden/ops/require.h"

namespace qsim::golden {

std::int64_t IvitStd(std::span<const std::int64_t> d, std::int64_t eps) {
  UInt128 squares = StartingAt(eps);
  for (const std::int64_t value : d) {
    squares += static_cast<UInt128>(Int128{value} * value);
  }
  // A step at most halves k (floored), so k >= 2^16 / 2^i after i of them: never a zero divisor.
  constexpr int kSteps = 10;
  UInt128 k = UInt128{1} << 16;
  for (int step = 0; step < kSteps; ++step) k = (k + squares / k) >> 1;
  Require(k <= static_cast<UInt128>(INT64_MAX), "Layernorm: ivit's root leaves 63 bits");
  return static_cast<std::int64_t>(k);
}

}  // namespace qsim::golden
