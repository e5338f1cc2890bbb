#include "golden/ops/requant/tosa.h"

#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

void CheckShift(int shift) {
  Require(shift >= 2 && shift <= 62, "TOSA RESCALE: the shift must be in 2..62");
}

}  // namespace

std::int64_t TosaScale32(std::int64_t v, std::int32_t multiplier, int shift, bool double_round) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 31;
  Require(v >= -kLimit && v <= kLimit, "TOSA RESCALE 32: |v| must be at most 2^31");
  CheckShift(shift);
  // |v * multiplier| <= 2^62 and round <= 2^61 + 2^30.
  std::int64_t round = std::int64_t{1} << (shift - 1);
  if (double_round && shift > 31) {
    constexpr std::int64_t kFirstRounding = std::int64_t{1} << 30;
    round += v >= 0 ? kFirstRounding : -kFirstRounding;
  }
  return (v * multiplier + round) >> shift;
}

std::int64_t TosaScale16(std::int64_t v, std::int32_t multiplier, int shift) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 47;
  Require(v >= -kLimit && v <= kLimit, "TOSA RESCALE 16: v must have at most 48 bits");
  Require(multiplier > -(1 << 15) && multiplier < (1 << 15),
          "TOSA RESCALE 16: the multiplier must have at most 15 bits");
  CheckShift(shift);
  // |v * multiplier| < 2^62 and the rounding constant is at most 2^61.
  return (v * multiplier + (std::int64_t{1} << (shift - 1))) >> shift;
}

}  // namespace qsim::golden
