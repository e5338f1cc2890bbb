#include "golden/ops/requant/ibert.h"

#include <algorithm>

#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {
namespace {

std::int32_t Clamp(Int128 value, int bits) {
  Require(bits >= 1 && bits <= 32, "I-BERT requantize: bits must be in 1..32");
  const Int128 limit = Int128{1} << (bits - 1);
  return static_cast<std::int32_t>(std::clamp(value, -limit, limit - 1));
}

}  // namespace

Int128 DyadicScale(std::int64_t z, Dyadic ratio) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 31;
  Require(ratio.m >= -kLimit && ratio.m <= kLimit, "I-BERT requantize: |m| must be at most 2^31");
  Require(ratio.e >= -31 && ratio.e <= 1105, "I-BERT requantize: e must be in -31..1105");
  const Int128 product = Int128{z} * ratio.m;  // at most 2^94
  if (ratio.e < 0) return product * (Int128{1} << -ratio.e);
  // From 96 on, every product is less than half of 2^e: 0.
  return RoundShift(product, std::min(ratio.e, 96), Rounding::kHalfEven);
}

std::int32_t DyadicRequantize(std::int64_t z, Dyadic ratio, int bits) {
  return Clamp(DyadicScale(z, ratio), bits);
}

std::int32_t DyadicResidual(std::int64_t z, Dyadic ratio, std::int64_t identity,
                            Dyadic identity_ratio, int bits) {
  return Clamp(DyadicScale(z, ratio) + DyadicScale(identity, identity_ratio), bits);
}

}  // namespace qsim::golden
