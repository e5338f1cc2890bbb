#include "golden/ops/gelu.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/requant/ita.h"
#include "golden/ops/require.h"
#include "golden/ops/rounding.h"
#include "golden/ops/table.h"

namespace qsim::golden {
namespace {

static_assert(NamesAgree<GeluParams, GeluKind>());

bool Within(std::int64_t value, std::int64_t limit) { return value >= -limit && value <= limit; }

std::int64_t Narrowed(Int128 value) {
  Require(value >= INT64_MIN && value <= INT64_MAX, "Gelu: an intermediate leaves 64 bits");
  return static_cast<std::int64_t>(value);
}

// What the algorithms themselves ask of their constants.
struct Checks {
  void operator()(const GeluTableParams&) const {}
  void operator()(const GeluIbertParams& p) const { CheckGeluIbert(p); }
  void operator()(const ShiftGeluParams& p) const { CheckShiftGelu(p); }
  void operator()(const GeluItaParams& p) const { CheckGeluIta(p); }
  void operator()(const GeluDeeployParams& p) const {
    CheckGeluDeeploy(p);
    Require(Within(p.addend, kMaxGeluAddend), "Gelu: |addend| must be at most 2^62");
  }
};

// What a program asks of them, so that nothing can leave 64 bits.
struct ProgramChecks {
  void operator()(const GeluTableParams&) const {}
  void operator()(const GeluIbertParams& p) const {
    Require(Within(p.b, kMaxGeluB), "Gelu: b must be in -2^16..-1");
    Require(Within(p.c, kMaxGeluC), "Gelu: c must be in -2^33..-1");
    Require(Within(p.shift_int, kMaxGeluC), "Gelu: shift_int must be in -2^33..-1");
  }
  void operator()(const ShiftGeluParams& p) const {
    Require(p.x0 >= -kMaxShiftGeluX0, "Gelu: x0 must be in -2^20..-1");
    Require(p.output_bits <= kMaxShiftGeluBits, "Gelu: output_bits must be in 1..16");
  }
  void operator()(const GeluItaParams& p) const {
    Require(Within(p.q_b, kMaxGeluB), "Gelu: q_b must be in -2^16..-1");
    Require(Within(p.q_c, kMaxGeluC), "Gelu: |q_c| must be at most 2^33");
    Require(Within(p.q_1, kMaxGeluC), "Gelu: |q_1| must be at most 2^33");
  }
  void operator()(const GeluDeeployParams& p) const {
    Require(Within(p.b, kMaxGeluB), "Gelu: b must be in -2^16..-1");
    Require(Within(p.one, kMaxGeluC), "Gelu: |one| must be at most 2^33");
  }
};

template <typename Params>
void CheckLastStep(const Params& params, const GeluShape& shape) {
  Require(shape.range.qmin <= shape.range.qmax, "Gelu: the output's range is empty");
  Require(params.scale.shift >= 0 && params.scale.shift <= 62, "Gelu: shift must be in 0..62");
}

// y of every element.
struct WideResults {
  std::span<const std::int64_t> x;
  std::span<std::int64_t> y;
  std::int64_t row_length;
  const GeluTrace& trace;

  void operator()(const GeluIbertParams& params) const {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const GeluIbertValue value = GeluIbert(x[i], params);
      if (!trace.erf_int.empty()) trace.erf_int[i] = Narrowed(value.erf_int);
      y[i] = Narrowed(value.y);
    }
  }
  void operator()(const ShiftGeluParams& params) const {
    std::vector<std::int64_t> sigmoid(x.size());
    const std::size_t row = row_length == 0 ? x.size() : static_cast<std::size_t>(row_length);
    for (std::size_t first = 0; first < x.size(); first += row) {
      ShiftGeluSigmoid(x.subspan(first, row), params, std::span(sigmoid).subspan(first, row));
    }
    std::copy_n(sigmoid.begin(), trace.sigmoid_int.size(), trace.sigmoid_int.begin());
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = Narrowed(Int128{x[i]} * sigmoid[i]);
  }
  void operator()(const GeluItaParams& params) const {
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = Narrowed(GeluIta(x[i], params));
  }
  void operator()(const GeluDeeployParams& params) const {
    for (std::size_t i = 0; i < x.size(); ++i) y[i] = Narrowed(GeluDeeploy(x[i], params));
  }
};

template <typename Params>
Int128 Shifted(std::int64_t y, const Params& params) {
  return RoundShift(Int128{y} * params.scale.m, params.scale.shift, params.rounding);
}
Int128 Shifted(std::int64_t y, const GeluItaParams& params) {
  return ItaRequantize(y, params.scale.m, params.scale.shift);
}
Int128 Shifted(std::int64_t y, const GeluDeeployParams& params) {
  return RoundShift(Int128{y} * params.scale.m + params.addend, params.scale.shift,
                    params.rounding);
}

template <typename Params>
std::int64_t InputZero(const Params& params) {
  return params.input_zero;
}
std::int64_t InputZero(const GeluItaParams&) { return 0; }

template <typename Params>
std::int64_t Evaluate(std::span<const std::int32_t> x, const Params& params, const GeluShape& shape,
                      std::span<std::int32_t> out, const GeluTrace& trace) {
  Checks{}(params);
  CheckLastStep(params, shape);
  Require(x.size() == out.size(), "Gelu: out must be as long as x");
  for (const std::span<std::int64_t> values : {trace.erf_int, trace.sigmoid_int, trace.y}) {
    Require(values.empty() || values.size() == x.size(),
            "Gelu: a trace must be empty or as long as x");
  }
  Require(shape.row_length >= 0 &&
              (shape.row_length == 0 || x.size() % static_cast<std::size_t>(shape.row_length) == 0),
          "Gelu: x must hold whole rows");
  std::vector<std::int64_t> centred(x.size()), y(x.size());
  std::transform(x.begin(), x.end(), centred.begin(),
                 [&](std::int32_t v) { return v - InputZero(params); });
  WideResults{centred, y, shape.row_length, trace}(params);
  std::copy_n(y.begin(), trace.y.size(), trace.y.begin());
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Int128 shifted = Shifted(y[i], params) + params.zero;
    saturated += StoreClamped(shifted, shape.range, out[i]);
  }
  return saturated;
}

std::int64_t Evaluate(std::span<const std::int32_t> x, const GeluTableParams& params,
                      const GeluShape& shape, std::span<std::int32_t> out, const GeluTrace&) {
  Table(x, shape.input_qmin, params.table, out);
  return 0;
}

}  // namespace

void CheckGeluParams(const GeluParams& params, const GeluShape& shape) {
  std::visit(Checks{}, params);
  std::visit(
      [&](const auto& p) {
        if constexpr (requires { p.scale; }) CheckLastStep(p, shape);
      },
      params);
  std::visit(ProgramChecks{}, params);
}

std::int64_t Gelu(std::span<const std::int32_t> x, const GeluParams& params, const GeluShape& shape,
                  std::span<std::int32_t> out, const GeluTrace& trace) {
  return std::visit([&](const auto& p) { return Evaluate(x, p, shape, out, trace); }, params);
}

}  // namespace qsim::golden
