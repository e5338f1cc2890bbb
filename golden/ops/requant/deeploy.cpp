#include "golden/ops/requant/deeploy.h"

#include <limits>

#include "golden/ops/int128.h"
#include "golden/ops/require.h"

namespace qsim::golden {

std::int64_t RequantShift(std::int64_t v, std::int32_t mul, std::int64_t add, int log2d,
                          bool rounding) {
  Require(log2d >= 0 && log2d <= 62, "RequantShift: log2D must be in 0..62");
  const Int128 round = rounding && log2d > 0 ? Int128{1} << (log2d - 1) : Int128{0};
  const Int128 result = (Int128{v} * mul + add + round) >> log2d;
  Require(result >= std::numeric_limits<std::int64_t>::min() &&
              result <= std::numeric_limits<std::int64_t>::max(),
          "RequantShift: the result leaves 64 bits");
  return static_cast<std::int64_t>(result);
}

}  // namespace qsim::golden
