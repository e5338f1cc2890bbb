#include "golden/ops/layernorm/ibert.h"

#include <algorithm>

#include "golden/ops/integer_sqrt.h"

namespace qsim::golden {

std::int64_t IbertStd(std::span<const std::int64_t> d, int k, std::int64_t eps) {
  UInt128 squares = StartingAt(eps);
  for (const std::int64_t value : d) {
    const Int128 scaled = value >> k;
    squares += static_cast<UInt128>(scaled * scaled);
  }
  return std::max(static_cast<std::int64_t>(IntegerSqrt(squares) << k), std::int64_t{1});
}

}  // namespace qsim::golden
