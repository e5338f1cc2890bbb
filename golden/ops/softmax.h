// Integer softmax over one row of scores: one interface to the named algorithms, each of which is a
// file pair in golden/ops/softmax/. docs/numerics.md section 5.
//
// A zero point of the scores cancels (only x - rowmax is used), so none is passed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "golden/ops/requantize.h"
#include "golden/ops/softmax/ibert.h"
#include "golden/ops/softmax/isoftmax.h"
#include "golden/ops/softmax/ita.h"
#include "golden/ops/softmax/log_int.h"
#include "golden/ops/softmax/shiftmax.h"
#include "golden/ops/softmax/table_exp.h"
#include "golden/ops/softmax/tflite.h"

namespace qsim::golden {

//   kIbert         I-BERT (Kim et al., ICML 2021), output uint8, scale 2^-8, last step floored.
//   kIbertRn       the same exponential; last step rounded half up and saturated at 255.
//   kLogInt        FQ-ViT's log-int-softmax (Lin et al., IJCAI 2022): code k for 2^-k.
//   kShiftmax      I-ViT (Li and Gu, ICCV 2023): bases of two by shifts.
//   kIta           ITA (Islamoglu et al., ISLPED 2023), the whole row at once; Deeploy's ITAMax.
//   kItaStreaming  ITA in one pass over groups of scores; Deeploy's ITAPartialMax.
//   kTflite        TensorFlow Lite's and CMSIS-NN's int8 softmax.
//   kDeeploy       Deeploy's polynomial softmax (Scherer et al., TCAD 2024).
//   kTable         qsim's: the exponential is a table, for any score scale.
enum class SoftmaxKind : std::uint8_t {
  kIbert,
  kIbertRn,
  kLogInt,
  kShiftmax,
  kIta,
  kItaStreaming,
  kTflite,
  kDeeploy,
  kTable
};
// The default first.
constexpr auto NamesOf(SoftmaxKind /*enum*/) {
  return std::to_array<NamedValue<SoftmaxKind>>({
      {SoftmaxKind::kIbertRn, "ibert_rn"},
      {SoftmaxKind::kIbert, "ibert"},
      {SoftmaxKind::kLogInt, "log_int"},
      {SoftmaxKind::kShiftmax, "shiftmax"},
      {SoftmaxKind::kIta, "ita"},
      {SoftmaxKind::kItaStreaming, "ita_streaming"},
      {SoftmaxKind::kTflite, "tflite"},
      {SoftmaxKind::kDeeploy, "deeploy_isoftmax"},
      {SoftmaxKind::kTable, "table"},
  });
}

// Who divides by the row's sum: the softmax, or what follows the product with its output (section
// 5.11), for which the softmax leaves the exponentials as they are, in 8 bits.
enum class SoftmaxDivision : std::uint8_t { kBefore, kAfter };
constexpr auto NamesOf(SoftmaxDivision /*enum*/) {
  return std::to_array<NamedValue<SoftmaxDivision>>({
      {SoftmaxDivision::kBefore, "before"},
      {SoftmaxDivision::kAfter, "after"},
  });
}

// In the order of SoftmaxKind.
using SoftmaxParams = std::variant<IbertSoftmaxParams, IbertRnSoftmaxParams, LogIntSoftmaxParams,
                                   ShiftmaxParams, ItaSoftmaxParams, ItaStreamingSoftmaxParams,
                                   TfliteSoftmaxParams, IsoftmaxParams, TableSoftmaxParams>;
inline SoftmaxKind KindOf(const SoftmaxParams& params) {
  return static_cast<SoftmaxKind>(params.index());
}

// Throws std::invalid_argument where a parameter is out of its range, or where the parameters do
// not fit together. What passes is defined for every row of 1..MaxSoftmaxRow scores.
void CheckSoftmaxParams(const SoftmaxParams& params);

// The codes that the output may hold, and the real value of one step:
//
//   ibert              0 .. 255                           2^-8
//   ibert_rn           0 .. 255                           2^-(8 + extra_bits)
//   log_int            0 .. 2^code_bits                   code k is 2^-k, 2^code_bits is 0
//   shiftmax           0 .. 2^(output_bits - 1) - 1 (*)   2^-(output_bits - 1)
//   ita, ita_streaming offset .. offset + levels - 1      1 / 255 (levels = 256)
//   tflite             -2^(bits - 1) .. 2^(bits - 1) - 1  2^-bits, the lowest code is 0
//   deeploy_isoftmax   offset .. offset + levels - 1      1 / (levels - 1)
//   table              0 .. 255                           2^-(8 + extra_bits)
//
// (*) wider where |x0| 2^n >= 2^31: see ShiftmaxRange. Parameters must pass CheckSoftmaxParams.
// Divided after the product: 0 .. 255 and 1 / 255, of log_int as above.
QuantRange SoftmaxOutputRange(const SoftmaxParams& params,
                              SoftmaxDivision division = SoftmaxDivision::kBefore);

// The code of probability 0.
std::int32_t SoftmaxZero(const SoftmaxParams& params,
                         SoftmaxDivision division = SoftmaxDivision::kBefore);

// Optional intermediates, for conformance and for tests. Each is empty or as long as the row;
// exp_int: ibert, ibert_rn, log_int, shiftmax. exp16: ibert, ibert_rn. Others leave them alone.
struct SoftmaxTrace {
  std::span<std::int64_t> exp_int = {};
  std::span<std::int32_t> exp16 = {};
};

// The largest row for which every intermediate is proven to fit.
inline constexpr std::int64_t kMaxSoftmaxRow = 65536;
// The same for one kind: kMaxSoftmaxRow, but kMaxTfliteSoftmaxRow for tflite.
std::int64_t MaxSoftmaxRow(SoftmaxKind kind);

// scores: a row of 1..MaxSoftmaxRow(KindOf(params)) values, of any width up to 32 bits. out: within
// SoftmaxOutputRange. Returns how many elements a final clamp changed (ibert, ibert_rn, tflite,
// table; the others have none). Throws std::invalid_argument where a size or parameter is out of
// its range.
std::int64_t Softmax(std::span<const std::int32_t> scores, const SoftmaxParams& params,
                     std::span<std::int32_t> out, const SoftmaxTrace& trace = {});

// Section 5.11: the exponentials of a row, the maximum's being 255; of log_int, 0. Returns how many
// elements saturated (deeploy_isoftmax alone). Rows as above, of any algorithm up to
// kMaxSoftmaxRow.
std::int64_t SoftmaxExponentials(std::span<const std::int32_t> scores, const SoftmaxParams& params,
                                 std::span<std::int32_t> out);

// Section 5.9: the visible scores, in order, are a row of their own; the others get SoftmaxZero.
// `visible` has an entry for each score, 0 where it is masked. A row may see nothing.
std::int64_t MaskedSoftmax(std::span<const std::int32_t> scores,
                           std::span<const std::uint8_t> visible, const SoftmaxParams& params,
                           std::span<std::int32_t> out,
                           SoftmaxDivision division = SoftmaxDivision::kBefore);

}  // namespace qsim::golden
