#include "golden/ops/softmax.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/require.h"
#include "golden/ops/softmax/shift_exp.h"

namespace qsim::golden {
namespace {

static_assert(NamesAgree<SoftmaxParams, SoftmaxKind>());

// One row by each algorithm. Returns how many elements a final clamp changed.
struct Row {
  std::span<const std::int32_t> scores;
  std::span<std::int32_t> out;
  const SoftmaxTrace& trace;

  std::int64_t operator()(const IbertSoftmaxParams& p) const {
    return IbertSoftmax(scores, p, out, trace.exp_int, trace.exp16);
  }
  std::int64_t operator()(const IbertRnSoftmaxParams& p) const {
    return IbertSoftmax(scores, p, out, trace.exp_int, trace.exp16);
  }
  std::int64_t operator()(const LogIntSoftmaxParams& p) const {
    LogIntSoftmax(scores, p, out, trace.exp_int);
    return 0;
  }
  std::int64_t operator()(const ShiftmaxParams& p) const {
    Shiftmax(scores, p, out, trace.exp_int);
    return 0;
  }
  std::int64_t operator()(const ItaSoftmaxParams& p) const {
    ItaSoftmax(scores, p, out);
    return 0;
  }
  std::int64_t operator()(const ItaStreamingSoftmaxParams& p) const {
    ItaSoftmax(scores, p, out);
    return 0;
  }
  std::int64_t operator()(const TfliteSoftmaxParams& p) const {
    return TfliteSoftmax(scores, p, out);
  }
  std::int64_t operator()(const IsoftmaxParams& p) const {
    Isoftmax(scores, p, out);
    return 0;
  }
  std::int64_t operator()(const TableSoftmaxParams& p) const {
    return TableSoftmax(scores, p, out);
  }
};

// The exponential of a distance to the row's maximum, in units of the algorithm's own.
struct Exponential {
  std::int64_t distance;

  Int128 operator()(const IbertSoftmaxParams& p) const { return IbertExp16(p, distance); }
  Int128 operator()(const IbertRnSoftmaxParams& p) const { return IbertExp16(p, distance); }
  Int128 operator()(const LogIntSoftmaxParams& p) const {
    return EvaluateIbertExp(p.exp, -distance);
  }
  Int128 operator()(const ShiftmaxParams& p) const { return ShiftExp(-distance, p.x0, p.n); }
  Int128 operator()(const ItaSoftmaxParams& p) const { return ItaExp(distance, p.shift_bits); }
  Int128 operator()(const ItaStreamingSoftmaxParams& p) const {
    return ItaExp(distance, p.shift_bits);
  }
  Int128 operator()(const TfliteSoftmaxParams& p) const { return TfliteSoftmaxExp(p, distance); }
  Int128 operator()(const IsoftmaxParams& p) const { return IsoftmaxExp(p, distance); }
  Int128 operator()(const TableSoftmaxParams& p) const { return TableExp(p, distance); }
};

struct Checks {
  void operator()(const IbertSoftmaxParams& p) const { CheckIbertSoftmax(p); }
  void operator()(const IbertRnSoftmaxParams& p) const { CheckIbertSoftmax(p); }
  void operator()(const LogIntSoftmaxParams& p) const { CheckLogIntSoftmax(p); }
  void operator()(const ShiftmaxParams& p) const { CheckShiftmax(p); }
  void operator()(const ItaSoftmaxParams& p) const { CheckItaSoftmax(p); }
  void operator()(const ItaStreamingSoftmaxParams& p) const { CheckItaSoftmax(p); }
  void operator()(const TfliteSoftmaxParams& p) const { CheckTfliteSoftmax(p); }
  void operator()(const IsoftmaxParams& p) const { CheckIsoftmax(p); }
  void operator()(const TableSoftmaxParams& p) const { CheckTableSoftmax(p); }
};

struct OutputRanges {
  QuantRange operator()(const IbertSoftmaxParams&) const { return {0, 255}; }
  QuantRange operator()(const IbertRnSoftmaxParams&) const { return {0, 255}; }
  QuantRange operator()(const LogIntSoftmaxParams& p) const { return {0, 1 << p.code_bits}; }
  QuantRange operator()(const ShiftmaxParams& p) const { return ShiftmaxRange(p); }
  QuantRange operator()(const ItaSoftmaxParams& p) const { return ItaSoftmaxRange(p); }
  QuantRange operator()(const ItaStreamingSoftmaxParams& p) const { return ItaSoftmaxRange(p); }
  QuantRange operator()(const TfliteSoftmaxParams& p) const { return TfliteSoftmaxRange(p); }
  QuantRange operator()(const IsoftmaxParams& p) const { return IsoftmaxRange(p); }
  QuantRange operator()(const TableSoftmaxParams&) const { return {0, 255}; }
};

}  // namespace

void CheckSoftmaxParams(const SoftmaxParams& params) { std::visit(Checks{}, params); }

QuantRange SoftmaxOutputRange(const SoftmaxParams& params, SoftmaxDivision division) {
  if (division == SoftmaxDivision::kAfter && KindOf(params) != SoftmaxKind::kLogInt)
    return {0, 255};
  return std::visit(OutputRanges{}, params);
}

std::int32_t SoftmaxZero(const SoftmaxParams& params, SoftmaxDivision division) {
  const QuantRange range = SoftmaxOutputRange(params, division);
  return KindOf(params) == SoftmaxKind::kLogInt ? range.qmax : range.qmin;
}

std::int64_t MaxSoftmaxRow(SoftmaxKind kind) {
  return kind == SoftmaxKind::kTflite ? kMaxTfliteSoftmaxRow : kMaxSoftmaxRow;
}

std::int64_t Softmax(std::span<const std::int32_t> scores, const SoftmaxParams& params,
                     std::span<std::int32_t> out, const SoftmaxTrace& trace) {
  CheckSoftmaxParams(params);
  const std::size_t length = scores.size();
  Require(length >= 1 && static_cast<std::int64_t>(length) <= MaxSoftmaxRow(KindOf(params)) &&
              out.size() == length,
          "Softmax: a row must have 1..65536 elements (tflite: 8191), and out as many");
  Require((trace.exp_int.empty() || trace.exp_int.size() == length) &&
              (trace.exp16.empty() || trace.exp16.size() == length),
          "Softmax: a trace must be empty or as long as the row");
  return std::visit(Row{scores, out, trace}, params);
}

std::int64_t SoftmaxExponentials(std::span<const std::int32_t> scores, const SoftmaxParams& params,
                                 std::span<std::int32_t> out) {
  CheckSoftmaxParams(params);
  Require(!scores.empty() && static_cast<std::int64_t>(scores.size()) <= kMaxSoftmaxRow &&
              out.size() == scores.size(),
          "SoftmaxExponentials: a row must have 1..65536 elements, and out as many");
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  const Int128 largest = std::visit(Exponential{0}, params);
  const auto* log_int = std::get_if<LogIntSoftmaxParams>(&params);
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Int128 e = std::visit(Exponential{row_max - scores[i]}, params);
    if (log_int != nullptr) {
      out[i] = LogIntCode(largest, static_cast<std::int64_t>(e), log_int->code_bits);
      continue;
    }
    const Int128 code = (2 * 255 * e + largest) / (2 * largest);
    saturated += code > 255;
    out[i] = static_cast<std::int32_t>(std::min(code, Int128{255}));
  }
  return saturated;
}

std::int64_t MaskedSoftmax(std::span<const std::int32_t> scores,
                           std::span<const std::uint8_t> visible, const SoftmaxParams& params,
                           std::span<std::int32_t> out, SoftmaxDivision division) {
  Require(visible.size() == scores.size() && out.size() == scores.size(),
          "MaskedSoftmax: visible and out must be as long as the row");
  std::vector<std::int32_t> row;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (visible[i] != 0) row.push_back(scores[i]);
  }
  std::fill(out.begin(), out.end(), SoftmaxZero(params, division));
  if (row.empty()) return 0;
  std::vector<std::int32_t> seen(row.size());
  const std::int64_t saturated = division == SoftmaxDivision::kAfter
                                     ? SoftmaxExponentials(row, params, seen)
                                     : Softmax(row, params, seen);
  auto next = seen.begin();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (visible[i] != 0) out[i] = *next++;
  }
  return saturated;
}

}  // namespace qsim::golden
