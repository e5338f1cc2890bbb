#include "golden/ops/gelu.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "golden/ops/names.h"
#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim {
namespace {

constexpr std::array<NamedValue<GeluKind>, 2> kNames = {{
    {GeluKind::kTable, "table"},
    {GeluKind::kIbert, "ibert"},
}};

void CheckParams(const GeluParams& params) {
  const GeluIbertParams& p = params.ibert;
  Require(p.b >= -kMaxGeluB && p.b <= -1, "Gelu: b must be in -2^16..-1");
  Require(p.c >= -kMaxGeluC && p.c <= -1, "Gelu: c must be in -2^33..-1");
  Require(p.shift_int >= -kMaxGeluC && p.shift_int <= -1, "Gelu: shift_int must be in -2^33..-1");
  Require(p.n >= 0 && p.n <= 30, "Gelu: n must be in 0..30");
  Require(params.range.qmin <= params.range.qmax, "Gelu: the output's range is empty");
}

// Equation 7.3.
std::int64_t Erf(const GeluIbertParams& params, std::int64_t x) {
  const std::int64_t sign = (x > 0) - (x < 0);
  const std::int64_t d = std::min(x < 0 ? -x : x, -params.b) + params.b;
  return (sign * (d * d + params.c)) >> params.n;
}

}  // namespace

std::string_view Name(GeluKind kind) { return NameIn(kNames, kind); }

std::optional<GeluKind> GeluKindFromName(std::string_view name) { return ValueIn(kNames, name); }

void GeluTable(std::span<const std::int32_t> x, std::int32_t qmin,
               std::span<const std::int32_t> table, std::span<std::int32_t> out) {
  Require(x.size() == out.size(), "Gelu: out must be as long as x");
  const auto entries = static_cast<std::int64_t>(table.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t index = std::int64_t{x[i]} - qmin;
    Require(index >= 0 && index < entries, "Gelu: an input code lies outside the table");
    out[i] = table[static_cast<std::size_t>(index)];
  }
}

std::int64_t GeluIbert(std::span<const std::int32_t> x, const GeluParams& params,
                       std::span<std::int32_t> out, const GeluTrace& trace) {
  CheckParams(params);
  Require(x.size() == out.size(), "Gelu: out must be as long as x");
  Require((trace.erf_int.empty() || trace.erf_int.size() == x.size()) &&
              (trace.y.empty() || trace.y.size() == x.size()),
          "Gelu: a trace must be empty or as long as x");
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t centred = std::int64_t{x[i]} - params.input_zero;
    Require(centred >= -kMaxGeluInput && centred <= kMaxGeluInput,
            "Gelu: |x - input_zero| must be at most 2^24");
    const std::int64_t erf = Erf(params.ibert, centred);
    const std::int64_t y = centred * (erf + params.ibert.shift_int);
    if (!trace.erf_int.empty()) trace.erf_int[i] = erf;
    if (!trace.y.empty()) trace.y[i] = y;
    const Int128 shifted =
        RoundShift(Int128{y} * params.scale.m, params.scale.shift, params.rounding) + params.zero;
    const Int128 clamped =
        std::min(std::max(shifted, Int128{params.range.qmin}), Int128{params.range.qmax});
    saturated += clamped != shifted;
    out[i] = static_cast<std::int32_t>(clamped);
  }
  return saturated;
}

std::int64_t Gelu(std::span<const std::int32_t> x, const GeluParams& params,
                  std::span<std::int32_t> out) {
  if (params.kind == GeluKind::kIbert) return GeluIbert(x, params, out);
  GeluTable(x, params.input_qmin, params.table, out);
  return 0;
}

}  // namespace qsim
