#include "golden/ops/layernorm.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "golden/ops/int128.h"
#include "golden/ops/layernorm/ibert.h"
#include "golden/ops/layernorm/ivit.h"
#include "golden/ops/require.h"

namespace qsim {
namespace {

template <typename T>
T OfChannel(std::span<const T> values, std::size_t channel) {
  return values[values.size() == 1 ? 0 : channel];
}

// Equation 6.1, x' = (x - x_zero) << input_shift[c], and 6.2, d = x' - mean.
std::vector<std::int64_t> Centred(std::span<const std::int32_t> x, const LayernormParams& params) {
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

void CheckParams(std::size_t channels, const LayernormParams& params) {
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
  Require(params.std_shift >= 0 && params.std_shift <= 31, "Layernorm: std_shift must be in 0..31");
  Require(params.kind == LayernormKind::kIbert || params.std_shift == 0,
          "Layernorm: only ibert has a std_shift");
}

// Writes value's nearest in the range and returns whether that is another one.
bool StoreClamped(Int128 value, QuantRange range, std::int32_t& out) {
  const Int128 clamped = std::min(std::max(value, Int128{range.qmin}), Int128{range.qmax});
  out = static_cast<std::int32_t>(clamped);
  return clamped != value;
}

// ibert and ivit: equations 6.1 to 6.5.
std::int64_t BySumOfSquares(std::span<const std::int32_t> x, const LayernormParams& params,
                            std::span<std::int32_t> out, const LayernormTrace& trace) {
  CheckParams(x.size(), params);
  const std::vector<std::int64_t> d = Centred(x, params);
  const bool ivit = params.kind == LayernormKind::kIvit;
  const std::int64_t std_int = ivit ? IvitStd(d) : IbertStd(d, params.std_shift);
  if (trace.std_int != nullptr) *trace.std_int = std_int;
  const std::int64_t factor = (ivit ? kIvitNumerator : kIbertNumerator) / std_int;
  std::int64_t saturated = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const std::int64_t y = ((d[c] * factor) >> 1) + params.bias[c];
    if (!trace.y.empty()) trace.y[c] = y;
    const Multiplier scale = OfChannel(params.scale, c);
    const Int128 shifted =
        RoundShift(Int128{y} * scale.m, scale.shift, params.rounding) + OfChannel(params.zero, c);
    saturated += StoreClamped(shifted, params.range, out[c]);
  }
  return saturated;
}

std::int64_t Deeploy(std::span<const std::int32_t> x, const LayernormParams& params,
                     std::span<std::int32_t> out, const LayernormTrace& trace) {
  std::vector<std::int64_t> y(x.size());
  const DeeployLayernormTrace row = LayernormDeeploy(x, params.deeploy, y);
  if (trace.std_int != nullptr) *trace.std_int = row.std_int;
  std::copy_n(y.begin(), trace.y.size(), trace.y.begin());
  std::int64_t saturated = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const std::int64_t value = params.deeploy.wrap ? static_cast<std::int8_t>(y[c]) : y[c];
    saturated += StoreClamped(value, params.range, out[c]);
  }
  return saturated;
}

}  // namespace

std::int64_t Layernorm(std::span<const std::int32_t> x, const LayernormParams& params,
                       std::span<std::int32_t> out, const LayernormTrace& trace) {
  Require(!x.empty() && x.size() <= 65536 && out.size() == x.size(),
          "Layernorm: a row must have 1..65536 elements, and out as many");
  Require(trace.y.empty() || trace.y.size() == x.size(),
          "Layernorm: a trace must be empty or as long as the row");
  Require(params.range.qmin <= params.range.qmax, "Layernorm: the output's range is empty");
  switch (params.kind) {
    case LayernormKind::kIbert:
    case LayernormKind::kIvit:
      return BySumOfSquares(x, params, out, trace);
    case LayernormKind::kDeeploy:
      return Deeploy(x, params, out, trace);
    case LayernormKind::kFqvit:
      break;
  }
  throw std::invalid_argument("Layernorm: fqvit needs M, N and B of every row: LayernormFqvit");
}

}  // namespace qsim
