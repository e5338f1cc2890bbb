#include "golden/ops/requant/cmsisnn.h"

#include "golden/ops/require.h"

namespace qsim::golden {

std::int64_t CmsisnnRequantizeS64(std::int64_t v, std::int32_t multiplier, int shift) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 47;
  Require(v >= -kLimit && v <= kLimit, "CMSIS-NN s64: v must have at most 48 bits");
  Require(multiplier > -(1 << 15) && multiplier < (1 << 15),
          "CMSIS-NN s64: the multiplier must have at most 15 bits and a sign");
  Require(shift >= -48 && shift <= 14, "CMSIS-NN s64: the shift must be in -48..14");
  return (((v * multiplier) >> (14 - shift)) + 1) >> 1;
}

}  // namespace qsim::golden
