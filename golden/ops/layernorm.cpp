#include "golden/ops/layernorm.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "golden/ops/int128.h"
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
    Require(std::abs(d[c]) <= kMaxLayernormInput,
            "Layernorm: an input leaves 25 bits after zero point and shift");
    sum += d[c];
  }
  const std::int64_t mean =
      RoundDivide(sum, static_cast<std::int64_t>(x.size()), Rounding::kHalfEven);
  for (std::int64_t& value : d) value -= mean;
  return d;
}

void CheckParams(std::size_t channels, const LayernormParams& params,
                 std::span<const std::int32_t> out, const LayernormTrace& trace) {
  const auto one_or_all = [&](std::size_t size) { return size == 1 || size == channels; };
  Require(channels >= 1 && channels <= 65536 && out.size() == channels,
          "Layernorm: a row must have 1..65536 elements, and out as many");
  Require(params.input_shift.empty() || params.input_shift.size() == channels,
          "Layernorm: input_shift must be empty or have one entry per channel");
  Require(params.bias.size() == channels, "Layernorm: bias must have one entry per channel");
  Require(one_or_all(params.scale.size()) && one_or_all(params.zero.size()),
          "Layernorm: scale and zero need one entry or one per channel");
  Require(params.std_shift >= 0 && params.std_shift <= 15, "Layernorm: std_shift must be in 0..15");
  Require(trace.y.empty() || trace.y.size() == channels,
          "Layernorm: a trace must be empty or as long as the row");
}

}  // namespace

std::int64_t LayernormIbert(std::span<const std::int32_t> x, const LayernormParams& params,
                            std::span<std::int32_t> out, const LayernormTrace& trace) {
  CheckParams(x.size(), params, out, trace);
  const std::vector<std::int64_t> d = Centred(x, params);
  std::uint64_t squares = 0;
  for (const std::int64_t value : d) {
    const std::int64_t scaled = value >> params.std_shift;
    squares += static_cast<std::uint64_t>(scaled * scaled);
  }
  const std::int64_t std_int = std::max(
      static_cast<std::int64_t>(IntegerSqrt(squares) << params.std_shift), std::int64_t{1});
  if (trace.std_int != nullptr) *trace.std_int = std_int;

  const std::int64_t factor = (std::int64_t{1} << 31) / std_int;
  std::int64_t saturated = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    Require(params.bias[c] >= -kMaxLayernormBias && params.bias[c] <= kMaxLayernormBias,
            "Layernorm: |bias| must be at most 2^46");
    const std::int64_t y = ((d[c] * factor) >> 1) + params.bias[c];
    if (!trace.y.empty()) trace.y[c] = y;
    const Multiplier scale = OfChannel(params.scale, c);
    const Int128 shifted =
        RoundShift(Int128{y} * scale.m, scale.shift, params.rounding) + OfChannel(params.zero, c);
    const Int128 clamped =
        std::min(std::max(shifted, Int128{params.range.qmin}), Int128{params.range.qmax});
    saturated += clamped != shifted;
    out[c] = static_cast<std::int32_t>(clamped);
  }
  return saturated;
}

std::uint64_t IntegerSqrt(std::uint64_t value) {
  // Digit by digit, two bits of the value per bit of the root: the schoolbook method in base 2.
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 62; bit != 0; bit >>= 2) {
    if (value >= root + bit) {
      value -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return root;
}

}  // namespace qsim
