#include "golden/ops/layernorm.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/int128.h"
#include "golden/ops/one_or_each.h"
#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

static_assert(NamesAgree<LayernormParams, LayernormKind>());

// Equation 6.1, x' = (x - x_zero) << input_shift[c], and 6.2, d = x' - mean.
template <typename Params>
std::vector<std::int64_t> Centred(std::span<const std::int32_t> x, const Params& params) {
  std::vector<std::int64_t> d(x.size());
  std::int64_t sum = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const int shift = params.input_shift.empty() ? 0 : params.input_shift[c];
    Require(shift >= 0 && shift <= 8, "Layernorm: input_shift must be in 0..8");
    d[c] = (std::int64_t{x[c]} - params.input_zero) << shift;
    sum += d[c];
  }
  const std::int64_t mean =
      RoundDivide(sum, static_cast<std::int64_t>(x.size()), Rounding::kHalfEven);
  for (std::int64_t& value : d) value -= mean;
  return d;
}

template <typename Params>
void CheckParams(std::size_t channels, const Params& params) {
  constexpr std::int64_t kMaxBias = std::int64_t{1} << 62;
  const auto one_or_all = [&](std::size_t size) { return size == 1 || size == channels; };
  Require(params.input_shift.empty() || params.input_shift.size() == channels,
          "Layernorm: input_shift must be empty or have one entry per channel");
  Require(params.bias.size() == channels, "Layernorm: bias must have one entry per channel");
  for (const std::int64_t bias : params.bias) {
    Require(bias >= -kMaxBias && bias <= kMaxBias, "Layernorm: |bias| must be at most 2^62");
  }
  Require(one_or_all(params.scale.size()) && one_or_all(params.zero.size()),
          "Layernorm: scale and zero need one entry or one per channel");
}

// One row by each algorithm.
struct Row {
  std::span<const std::int32_t> x;
  QuantRange range;
  std::span<std::int32_t> out;
  const LayernormTrace& trace;

  std::int64_t operator()(const IbertLayernormParams& params) const {
    CheckParams(x.size(), params);
    Require(params.std_shift >= 0 && params.std_shift <= 31,
            "Layernorm: std_shift must be in 0..31");
    const std::vector<std::int64_t> d = Centred(x, params);
    return Scaled(d, IbertStd(d, params.std_shift, params.eps), kIbertNumerator, params);
  }

  std::int64_t operator()(const IvitLayernormParams& params) const {
    CheckParams(x.size(), params);
    const std::vector<std::int64_t> d = Centred(x, params);
    return Scaled(d, IvitStd(d, params.eps), kIvitNumerator, params);
  }

  std::int64_t operator()(const DeeployLayernormParams& params) const {
    std::vector<std::int64_t> y(x.size());
    const DeeployLayernormTrace row = LayernormDeeploy(x, params, y);
    if (trace.std_int != nullptr) *trace.std_int = row.std_int;
    std::copy_n(y.begin(), trace.y.size(), trace.y.begin());
    std::int64_t saturated = 0;
    for (std::size_t c = 0; c < x.size(); ++c) {
      const std::int64_t value = params.wrap ? static_cast<std::int8_t>(y[c]) : y[c];
      saturated += StoreClamped(value, range, out[c]);
    }
    return saturated;
  }

  // Equations 6.4 and 6.5.
  template <typename Params>
  std::int64_t Scaled(std::span<const std::int64_t> d, std::int64_t std_int, std::int64_t numerator,
                      const Params& params) const {
    if (trace.std_int != nullptr) *trace.std_int = std_int;
    const std::int64_t factor = numerator / std_int;
    std::int64_t saturated = 0;
    for (std::size_t c = 0; c < x.size(); ++c) {
      const std::int64_t y = ((d[c] * factor) >> 1) + params.bias[c];
      if (!trace.y.empty()) trace.y[c] = y;
      const Multiplier scale = EntryFor(params.scale, c);
      const Int128 shifted =
          RoundShift(Int128{y} * scale.m, scale.shift, params.rounding) + EntryFor(params.zero, c);
      saturated += StoreClamped(shifted, range, out[c]);
    }
    return saturated;
  }
};

}  // namespace

std::int64_t Layernorm(std::span<const std::int32_t> x, const LayernormParams& params,
                       QuantRange range, std::span<std::int32_t> out, const LayernormTrace& trace) {
  Require(!x.empty() && x.size() <= 65536 && out.size() == x.size(),
          "Layernorm: a row must have 1..65536 elements, and out as many");
  Require(trace.y.empty() || trace.y.size() == x.size(),
          "Layernorm: a trace must be empty or as long as the row");
  Require(range.qmin <= range.qmax, "Layernorm: the output's range is empty");
  return std::visit(Row{x, range, out, trace}, params);
}

}  // namespace qsim::golden
