// M, N and B of FQ-ViT's layer norm (QIntLayerNorm, Lin et al., IJCAI 2022), which the publication
// states in real arithmetic. docs/numerics.md section 6.8.
//
//   z = x_q * scale_mask;  D = sqrt(C * sum(z^2) - sum(z)^2);  A = C / D * weight / out_scale
//   N = clamp(7 - floor(log2 |A|), 0, 31);  |M| = clamp(floor(|A| * 2^N), 0, 255), sign of A
//   A = 0: N = 31, M = 0
//   B = half_even((bias - sum(z) / D * weight) / out_scale * 2^N)
//
// Every decision is made exactly: D only ever appears in comparisons of squares of rationals.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qsim::conform {

// One of each per channel.
struct FqvitParameters {
  std::vector<std::int32_t> m;  // -255..255
  std::vector<std::int32_t> n;  // 0..31
  std::vector<std::int64_t> b;  // |b| <= 2^62
};

// One row. weight, bias: finite, one per channel; out_scale: positive, one or one per channel.
// Throws std::invalid_argument where that is broken, where all z are equal (D = 0 divides by zero)
// and for a B beyond 2^62.
FqvitParameters DeriveFqvitParameters(std::span<const std::int32_t> x_q,
                                      std::span<const std::int32_t> scale_mask,
                                      std::span<const double> weight, std::span<const double> bias,
                                      std::span<const double> out_scale);

}  // namespace qsim::conform
