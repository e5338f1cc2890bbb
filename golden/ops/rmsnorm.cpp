#include "golden/ops/rmsnorm.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/int128.h"
#include "golden/ops/layernorm/ibert.h"
#include "golden/ops/one_or_each.h"
#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

void CheckParams(std::size_t channels, const RmsnormParams& params) {
  const auto one_or_all = [&](std::size_t size) { return size == 1 || size == channels; };
  Require(params.input_shift.empty() || params.input_shift.size() == channels,
          "Rmsnorm: input_shift must be empty or have one entry per channel");
  for (const std::int32_t shift : params.input_shift)
    Require(shift >= 0 && shift <= 8, "Rmsnorm: input_shift must be in 0..8");
  Require(params.rms_shift >= 0 && params.rms_shift <= 31, "Rmsnorm: rms_shift must be in 0..31");
  Require(one_or_all(params.scale.size()) && one_or_all(params.zero.size()),
          "Rmsnorm: scale and zero need one entry or one per channel");
}

}  // namespace

std::int64_t Rmsnorm(std::span<const std::int32_t> x, std::span<const std::int32_t> gate,
                     const RmsnormParams& params, QuantRange range, std::span<std::int32_t> out,
                     const RmsnormTrace& trace) {
  const std::size_t channels = x.size();
  Require(channels >= 1 && channels <= 65536 && out.size() == channels,
          "Rmsnorm: a row must have 1..65536 elements, and out as many");
  Require(gate.empty() || gate.size() == channels, "Rmsnorm: a gate must be as long as the row");
  Require(trace.y.empty() || trace.y.size() == channels,
          "Rmsnorm: a trace must be empty or as long as the row");
  Require(range.qmin <= range.qmax, "Rmsnorm: the output's range is empty");
  CheckParams(channels, params);
  std::vector<std::int64_t> shifted(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    shifted[c] = (std::int64_t{x[c]} - params.input_zero)
                 << (params.input_shift.empty() ? 0 : params.input_shift[c]);
  }
  // Equation 6.15 is that of I-BERT's deviation, of x' itself.
  const std::int64_t rms = IbertStd(shifted, params.rms_shift, params.eps);
  if (trace.rms_int != nullptr) *trace.rms_int = rms;
  const std::int64_t factor = kIbertNumerator / rms;
  std::int64_t saturated = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const std::int64_t y = (shifted[c] * factor) >> 1;
    if (!trace.y.empty()) trace.y[c] = y;
    const std::int64_t g = gate.empty() ? 1 : std::int64_t{gate[c]} - params.gate_zero;
    const Multiplier scale = EntryFor(params.scale, c);
    const Int128 value = RoundShift(Int128{y} * g * scale.m, scale.shift, params.rounding) +
                         EntryFor(params.zero, c);
    saturated += StoreClamped(value, range, out[c]);
  }
  return saturated;
}

}  // namespace qsim::golden
