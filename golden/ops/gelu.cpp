#include "golden/ops/gelu.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "golden/ops/requant/ita.h"
#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim {
namespace {

bool Within(std::int64_t value, std::int64_t limit) { return value >= -limit && value <= limit; }

std::int64_t Narrowed(Int128 value) {
  Require(value >= INT64_MIN && value <= INT64_MAX, "Gelu: an intermediate leaves 64 bits");
  return static_cast<std::int64_t>(value);
}

void CheckAlgorithm(const GeluParams& params) {
  switch (params.kind) {
    case GeluKind::kTable:
      return;
    case GeluKind::kIbert:
      return CheckGeluIbert(params.ibert);
    case GeluKind::kShiftGelu:
      return CheckShiftGelu(params.shiftgelu);
    case GeluKind::kIta:
      Require(params.input_zero == 0, "Gelu: ita takes no input zero point");
      Require(params.rounding == Rounding::kHalfUp, "Gelu: ita's last rounding is half_up");
      return CheckGeluIta(params.ita);
    case GeluKind::kDeeploy:
      return CheckGeluDeeploy(params.deeploy);
  }
  Require(false, "Gelu: unknown algorithm");
}

void CheckLastStep(const GeluParams& params) {
  Require(params.range.qmin <= params.range.qmax, "Gelu: the output's range is empty");
  Require(params.scale.shift >= 0 && params.scale.shift <= 62, "Gelu: shift must be in 0..62");
  Require(Within(params.addend, kMaxGeluAddend), "Gelu: |addend| must be at most 2^62");
  Require(params.kind == GeluKind::kDeeploy || params.addend == 0,
          "Gelu: only deeploy has an addend");
}

// y of every element; rows are whole (shiftgelu).
void WideResults(std::span<const std::int64_t> x, const GeluParams& params,
                 std::span<std::int64_t> y, const GeluTrace& trace) {
  std::vector<std::int64_t> sigmoid;
  if (params.kind == GeluKind::kShiftGelu) {
    sigmoid.resize(x.size());
    const std::size_t row =
        params.row_length == 0 ? x.size() : static_cast<std::size_t>(params.row_length);
    for (std::size_t first = 0; first < x.size(); first += row) {
      ShiftGeluSigmoid(x.subspan(first, row), params.shiftgelu,
                       std::span(sigmoid).subspan(first, row));
    }
    std::copy_n(sigmoid.begin(), trace.sigmoid_int.size(), trace.sigmoid_int.begin());
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    switch (params.kind) {
      case GeluKind::kTable:
        break;
      case GeluKind::kIbert: {
        const GeluIbertValue value = GeluIbert(x[i], params.ibert);
        if (!trace.erf_int.empty()) trace.erf_int[i] = Narrowed(value.erf_int);
        y[i] = Narrowed(value.y);
        break;
      }
      case GeluKind::kShiftGelu:
        y[i] = Narrowed(Int128{x[i]} * sigmoid[i]);
        break;
      case GeluKind::kIta:
        y[i] = Narrowed(GeluIta(x[i], params.ita));
        break;
      case GeluKind::kDeeploy:
        y[i] = Narrowed(GeluDeeploy(x[i], params.deeploy));
        break;
    }
  }
}

Int128 Shifted(std::int64_t y, const GeluParams& params) {
  if (params.kind == GeluKind::kIta) {
    return ItaRequantize(y, params.scale.m, params.scale.shift);
  }
  return RoundShift(Int128{y} * params.scale.m + params.addend, params.scale.shift,
                    params.rounding);
}

}  // namespace

void CheckGeluParams(const GeluParams& params) {
  if (params.kind == GeluKind::kTable) return;
  CheckAlgorithm(params);
  CheckLastStep(params);
  switch (params.kind) {
    case GeluKind::kTable:
      break;
    case GeluKind::kIbert:
      Require(Within(params.ibert.b, kMaxGeluB), "Gelu: b must be in -2^16..-1");
      Require(Within(params.ibert.c, kMaxGeluC), "Gelu: c must be in -2^33..-1");
      Require(Within(params.ibert.shift_int, kMaxGeluC), "Gelu: shift_int must be in -2^33..-1");
      break;
    case GeluKind::kShiftGelu:
      Require(params.shiftgelu.x0 >= -kMaxShiftGeluX0, "Gelu: x0 must be in -2^20..-1");
      Require(params.shiftgelu.output_bits <= kMaxShiftGeluBits,
              "Gelu: output_bits must be in 1..16");
      break;
    case GeluKind::kIta:
      Require(Within(params.ita.q_b, kMaxGeluB), "Gelu: q_b must be in -2^16..-1");
      Require(Within(params.ita.q_c, kMaxGeluC), "Gelu: |q_c| must be at most 2^33");
      Require(Within(params.ita.q_1, kMaxGeluC), "Gelu: |q_1| must be at most 2^33");
      break;
    case GeluKind::kDeeploy:
      Require(Within(params.deeploy.b, kMaxGeluB), "Gelu: b must be in -2^16..-1");
      Require(Within(params.deeploy.one, kMaxGeluC), "Gelu: |one| must be at most 2^33");
      break;
  }
}

std::int64_t Gelu(std::span<const std::int32_t> x, const GeluParams& params,
                  std::span<std::int32_t> out, const GeluTrace& trace) {
  if (params.kind == GeluKind::kTable) {
    GeluTable(x, params.input_qmin, params.table, out);
    return 0;
  }
  CheckAlgorithm(params);
  CheckLastStep(params);
  Require(x.size() == out.size(), "Gelu: out must be as long as x");
  for (const std::span<std::int64_t> values : {trace.erf_int, trace.sigmoid_int, trace.y}) {
    Require(values.empty() || values.size() == x.size(),
            "Gelu: a trace must be empty or as long as x");
  }
  Require(params.row_length >= 0 && (params.row_length == 0 ||
                                     x.size() % static_cast<std::size_t>(params.row_length) == 0),
          "Gelu: x must hold whole rows");
  std::vector<std::int64_t> centred(x.size()), y(x.size());
  std::transform(x.begin(), x.end(), centred.begin(),
                 [&](std::int32_t v) { return std::int64_t{v} - params.input_zero; });
  WideResults(centred, params, y, trace);
  std::copy_n(y.begin(), trace.y.size(), trace.y.begin());
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Int128 shifted = Shifted(y[i], params) + params.zero;
    const Int128 clamped =
        std::min(std::max(shifted, Int128{params.range.qmin}), Int128{params.range.qmax});
    saturated += clamped != shifted;
    out[i] = static_cast<std::int32_t>(clamped);
  }
  return saturated;
}

}  // namespace qsim
