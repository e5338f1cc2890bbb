// GELU of a tensor: one interface to the named algorithms, each of which is a file pair in
// golden/ops/gelu/. docs/numerics.md section 7.
//
//   table:   q = table[x - qmin]
//   others:  x' = x - input_zero;  y as the algorithm's header says
//            q  = clamp(z + round_shift(y * M + addend, S), qmin, qmax)
//   ita:     q  = clamp(z + floor(y * M / 2^S + 1/2 + 2^-23), qmin, qmax)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "golden/ops/gelu/deeploy.h"
#include "golden/ops/gelu/ibert.h"
#include "golden/ops/gelu/ita.h"
#include "golden/ops/gelu/shiftgelu.h"
#include "golden/ops/gelu/table.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

//   kTable      one output per input code, computed when the program is made: exact up to its
//               rounding.
//   kIbert      I-BERT's second-degree polynomial of erf (Kim et al., ICML 2021).
//   kShiftGelu  I-ViT: x * sigmoid(1.702 x) by shifts (Li and Gu, ICCV 2023). Row-wise.
//   kIta        ITA: I-BERT's polynomial without the inner shift, its own last rounding
//               (Islamoglu et al., ISLPED 2023).
//   kDeeploy    Deeploy: the same polynomial, halved inside (Scherer et al., TCAD 2024).
enum class GeluKind : std::uint8_t { kTable, kIbert, kShiftGelu, kIta, kDeeploy };
constexpr auto NamesOf(GeluKind /*enum*/) {
  return std::to_array<NamedValue<GeluKind>>({
      {GeluKind::kTable, "table"},
      {GeluKind::kIbert, "ibert"},
      {GeluKind::kShiftGelu, "shiftgelu"},
      {GeluKind::kIta, "ita"},
      {GeluKind::kDeeploy, "deeploy"},
  });
}

// The largest magnitudes for which no element of a program can leave 64 bits (section 7.7).
inline constexpr std::int64_t kMaxGeluInput = std::int64_t{1} << 24;  // of x'
inline constexpr std::int64_t kMaxGeluB = std::int64_t{1} << 16;      // of b and q_b
// of c, q_c, shift_int, q_1 and one
inline constexpr std::int64_t kMaxGeluC = std::int64_t{1} << 33;
inline constexpr std::int32_t kMaxShiftGeluX0 = 1 << 20;  // of x0
inline constexpr int kMaxShiftGeluBits = 16;              // output_bits
inline constexpr std::int64_t kMaxGeluAddend = std::int64_t{1} << 62;

// The widest input that an algorithm stands for: ita reads int8, and shiftgelu's sum of two
// exponentials keeps only 8 bits of inputs apart (section 7.6).
constexpr int MostGeluInputBits(GeluKind kind) {
  return kind == GeluKind::kIta || kind == GeluKind::kShiftGelu ? 8 : 16;
}

// In the order of GeluKind.
using GeluParams = std::variant<GeluTableParams, GeluIbertParams, ShiftGeluParams, GeluItaParams,
                                GeluDeeployParams>;
inline GeluKind KindOf(const GeluParams& params) { return static_cast<GeluKind>(params.index()); }

// What the tensors around the operation say.
struct GeluShape {
  QuantRange range = {};           // of the output
  std::int32_t input_qmin = -128;  // table: the input code of its first entry
  // shiftgelu: the length of the last axis; x holds whole rows. 0: x is one row.
  std::int64_t row_length = 0;
};

// What program validation asks: throws std::invalid_argument unless the parameters are such that
// Gelu cannot fail for any |x'| <= kMaxGeluInput. A table's size and entries are the caller's to
// check.
void CheckGeluParams(const GeluParams& params, const GeluShape& shape = {});

// Optional intermediates. Each is empty or as long as x; a table leaves them alone.
struct GeluTrace {
  std::span<std::int64_t> erf_int = {};      // ibert
  std::span<std::int64_t> sigmoid_int = {};  // shiftgelu
  std::span<std::int64_t> y = {};
};

// For any int32 x. Returns how many elements the last clamp
// changed. Throws std::invalid_argument where a size or a parameter is out of its range, for a code
// outside the table, and where a y leaves 64 bits (excluded by CheckGeluParams).
std::int64_t Gelu(std::span<const std::int32_t> x, const GeluParams& params, const GeluShape& shape,
                  std::span<std::int32_t> out, const GeluTrace& trace = {});

}  // namespace qsim::golden
