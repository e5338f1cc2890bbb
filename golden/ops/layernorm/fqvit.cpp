#include "golden/ops/layernorm/fqvit.h"

#include <cstddef>

#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {

void LayernormFqvit(std::span<const std::int32_t> x_q, std::span<const std::int32_t> scale_mask,
                    std::span<const std::int32_t> m, std::span<const std::int32_t> n,
                    std::span<const std::int64_t> b, std::span<std::int64_t> out) {
  constexpr std::int64_t kMaxB = std::int64_t{1} << 62;
  const std::size_t channels = x_q.size();
  Require(scale_mask.size() == channels && m.size() == channels && n.size() == channels &&
              b.size() == channels && out.size() == channels,
          "Layernorm: scale_mask, M, N, B and out need one entry per channel");
  for (std::size_t c = 0; c < channels; ++c) {
    Require(scale_mask[c] >= 1 && scale_mask[c] <= (1 << 20),
            "Layernorm: scale_mask must be in 1..2^20");
    Require(m[c] >= -255 && m[c] <= 255, "Layernorm: M must be in -255..255");
    Require(n[c] >= 0 && n[c] <= 31, "Layernorm: N must be in 0..31");
    Require(b[c] >= -kMaxB && b[c] <= kMaxB, "Layernorm: |B| must be at most 2^62");
    // At most 2^8 2^31 2^20 + 2^62.
    const std::int64_t sum = m[c] * (std::int64_t{x_q[c]} * scale_mask[c]) + b[c];
    out[c] = RoundShift(sum, n[c], Rounding::kHalfEven);
  }
}

}  // namespace qsim::golden
