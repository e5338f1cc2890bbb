// GELU, element by element, on a tensor of at most 8 bits. docs/numerics.md section 7.
//
//   table:  y = table[x - qmin]
//   ibert:  I-BERT (Kim et al., ICML 2021), x' = x - input_zero
//           erf = (sign(x') * ((min(|x'|, -b) + b)^2 + c)) >> n
//           y   = x' * (erf + shift_int)
//           q   = clamp(z + round_shift(y * M, S), qmin, qmax)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "golden/ops/requantize.h"

namespace qsim {

//   kTable  one output per input code, computed when the program is made: exact up to its rounding.
//   kIbert  I-BERT's second-degree polynomial of erf.
enum class GeluKind : std::uint8_t { kTable, kIbert };
std::string_view Name(GeluKind kind);  // "table", "ibert"
std::optional<GeluKind> GeluKindFromName(std::string_view name);

// The largest magnitudes for which every intermediate is proven to fit (section 7.2).
inline constexpr std::int64_t kMaxGeluInput = std::int64_t{1} << 24;  // of x'
inline constexpr std::int64_t kMaxGeluB = std::int64_t{1} << 16;
inline constexpr std::int64_t kMaxGeluC = std::int64_t{1} << 33;  // of c and of shift_int

// The polynomial's constants for an input scale s, with t = s / 1.4142:
//   b = floor(-1.769 / t), c = floor(-3.46260.. / t^2), shift_int = floor(1 / (-0.2888 t^2 2^n)).
struct GeluIbertParams {
  std::int64_t b = -1;          // -2^16..-1
  std::int64_t c = -1;          // -2^33..-1
  std::int64_t shift_int = -1;  // -2^33..-1
  int n = 14;  // 0..30; 14 in the publication, for inputs of about 16 bits and more
  bool operator==(const GeluIbertParams&) const = default;
};

struct GeluParams {
  GeluKind kind = GeluKind::kTable;
  // table
  std::int32_t input_qmin = -128;            // the input code of table[0]
  std::span<const std::int32_t> table = {};  // one entry per input code
  // ibert
  std::int32_t input_zero = 0;  // |x - input_zero| <= kMaxGeluInput
  GeluIbertParams ibert = {};
  Multiplier scale = {};  // y's real scale is negative, and so is M
  std::int32_t zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range = {};
};

// Optional intermediates of ibert. Each is empty or as long as x.
struct GeluTrace {
  std::span<std::int64_t> erf_int = {};
  std::span<std::int64_t> y = {};
};

// out[i] = table[x[i] - qmin]. Throws std::invalid_argument for a code outside the table.
void GeluTable(std::span<const std::int32_t> x, std::int32_t qmin,
               std::span<const std::int32_t> table, std::span<std::int32_t> out);

// Returns how many elements the clamp changed. Throws std::invalid_argument where a size or a range
// is broken.
std::int64_t GeluIbert(std::span<const std::int32_t> x, const GeluParams& params,
                       std::span<std::int32_t> out, const GeluTrace& trace = {});

// The algorithm that params.kind names. Returns how many elements a clamp changed.
std::int64_t Gelu(std::span<const std::int32_t> x, const GeluParams& params,
                  std::span<std::int32_t> out);

}  // namespace qsim
