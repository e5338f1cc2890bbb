#include "golden/ops/softmax/shift_exp.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "golden/ops/require.h"

namespace qsim::golden {

void CheckShiftExp(std::int32_t x0, int n) {
  Require(x0 <= -1, "ShiftExp: x0 must be in -2^31..-1");
  Require(n >= 0 && n <= 30, "ShiftExp: n must be in 0..30");
}

std::int64_t ShiftExp(std::int64_t x, std::int32_t x0, int n) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 60;
  Require(x >= -kLimit && x <= kLimit, "ShiftExp: the argument must be in -2^60..2^60");
  const std::int64_t scaled = x + (x >> 1) - (x >> 4);
  const std::int64_t d = std::max(scaled, std::int64_t{n} * x0);
  // floor(d / x0) with r in (x0, 0]: C++ truncates, which is too high where d > 0 is no multiple.
  std::int64_t q = d / x0;
  if (d - q * x0 > 0) --q;
  const std::int64_t mantissa = d - q * x0 - 2 * std::int64_t{x0};
  assert(mantissa >= 2 && q <= n);
  const std::int64_t shift = n - q;
  const auto width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(mantissa)));
  if (shift + width > 63) return kShiftExpCap;  // at least 2^63 >> 1
  return (mantissa << shift) >> 1;
}

}  // namespace qsim::golden
