// Integer layer normalisation over one row: one interface to the named algorithms, each of which is
// a file pair in golden/ops/layernorm/. docs/numerics.md section 6.
//
//   ibert, ivit:
//     x'  = (x - x_zero) << input_shift[c]
//     mu  = half_even(sum(x') / C);  d = x' - mu
//     y   = ((d * floor(P / std)) >> 1) + bias[c]
//     q   = clamp(z[c] + round_shift(y * M[c], S[c]), qmin, qmax)
//     ibert: std = max(floor(sqrt(sum((d >> k)^2) + E)) << k, 1), P = 2^31
//     ivit:  std = ten Newton steps for sqrt(sum(d^2) + E), P = 2^31 - 1
//   rq_layernorm: q = clamp(y as layernorm/deeploy.h says, wrapped to int8 first on request)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "golden/ops/layernorm/deeploy.h"
#include "golden/ops/layernorm/ibert.h"
#include "golden/ops/layernorm/ivit.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

//   kIbert    I-BERT (Kim et al., ICML 2021).
//   kIvit     I-ViT (Li and Gu, ICCV 2023): the same with an unfinished square root.
//   kDeeploy  Deeploy's kernel (Scherer et al., TCAD 2024).
//   kFqvit    FQ-ViT (Lin et al., IJCAI 2022). Its M, N and B come from real arithmetic on the row,
//             so no program can use it; LayernormFqvit (layernorm/fqvit.h) takes them as inputs.
enum class LayernormKind : std::uint8_t { kIbert, kIvit, kDeeploy, kFqvit };
constexpr auto NamesOf(LayernormKind /*enum*/) {
  return std::to_array<NamedValue<LayernormKind>>({
      {LayernormKind::kIbert, "ibert"},
      {LayernormKind::kIvit, "ivit"},
      {LayernormKind::kDeeploy, "rq_layernorm"},
      {LayernormKind::kFqvit, "fqvit"},
  });
}

// What a program may hold, so that the widths of section 6.3 suffice: 16-bit inputs, 16-bit zero
// points and shifts of at most 8 stay within |x'|. The operation itself takes more.
inline constexpr std::int64_t kMaxLayernormInput = (std::int64_t{1} << 24) - (std::int64_t{1} << 8);
inline constexpr std::int64_t kMaxLayernormBias = std::int64_t{1} << 46;
inline constexpr int kMaxLayernormStdShift = 15;

// In the order of LayernormKind; fqvit has none.
using LayernormParams =
    std::variant<IbertLayernormParams, IvitLayernormParams, DeeployLayernormParams>;
inline LayernormKind KindOf(const LayernormParams& params) {
  return static_cast<LayernormKind>(params.index());
}

// Optional intermediates. y is empty or as long as the row; std_int null or one value.
struct LayernormTrace {
  std::span<std::int64_t> y = {};
  std::int64_t* std_int = nullptr;
};

// One row of any int32 x, C = x.size() in 1..65536. Returns how many elements the clamp changed.
// Throws std::invalid_argument where a size or range is broken.
std::int64_t Layernorm(std::span<const std::int32_t> x, const LayernormParams& params,
                       QuantRange range, std::span<std::int32_t> out,
                       const LayernormTrace& trace = {});

}  // namespace qsim::golden
