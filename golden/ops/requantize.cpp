#include "golden/ops/requantize.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

namespace {

std::int32_t ShiftAndClamp(std::int64_t rounded, std::int32_t zero, QuantRange range,
                           std::int64_t* saturated) {
  std::int64_t shifted = 0;
  Require(!__builtin_add_overflow(rounded, std::int64_t{zero}, &shifted),
          "Requantize: the result before the clamp leaves 64 bits");
  std::int32_t out = 0;
  if (StoreClamped(shifted, range, out) && saturated != nullptr) ++*saturated;
  return out;
}

}  // namespace

std::int32_t RequantizeValue(std::int64_t x_minus_zero, Multiplier scale, std::int64_t addend,
                             std::int32_t zero, Rounding rounding, QuantRange range,
                             std::int64_t* saturated) {
  return ShiftAndClamp(
      RequantizeScaled(RequantScheme::kRoundShift, rounding, x_minus_zero, scale, addend), zero,
      range, saturated);
}

bool Matches(const ChannelLayout& layout, std::size_t elements) {
  if (layout.outer < 0 || layout.channels < 1 || layout.inner < 0) return false;
  std::int64_t count = 0;
  return !__builtin_mul_overflow(layout.outer, layout.channels, &count) &&
         !__builtin_mul_overflow(count, layout.inner, &count) &&
         static_cast<std::size_t>(count) == elements;
}

bool OneOrPerChannel(const ChannelLayout& layout, std::size_t entries) {
  return entries == 1 || entries == static_cast<std::size_t>(layout.channels);
}

void CheckRequantizeParams(const RequantizeParams& params) {
  const ChannelLayout& layout = params.layout;
  Require(
      OneOrPerChannel(layout, params.scale.size()) && OneOrPerChannel(layout, params.zero.size()),
      "Requantize: scale and zero need one entry or one per channel");
  Require(params.addend.empty() || OneOrPerChannel(layout, params.addend.size()),
          "Requantize: addend needs no entry, one or one per channel");
  const bool one = params.scale.size() == 1 && params.addend.size() <= 1;
  for (std::int64_t c = 0; c < (one ? 1 : layout.channels); ++c) {
    CheckRequantScheme(params.scheme, params.rounding, params.ScaleOf(c), params.AddendOf(c));
  }
}

std::int64_t Requantize(std::span<const std::int32_t> in, const RequantizeParams& params,
                        std::span<std::int32_t> out) {
  const ChannelLayout& layout = params.layout;
  Require(Matches(layout, in.size()) && in.size() == out.size(),
          "Requantize: in and out must have the layout's size");
  CheckRequantizeParams(params);
  std::int64_t saturated = 0;
  std::size_t i = 0;
  for (std::int64_t o = 0; o < layout.outer; ++o) {
    for (std::int64_t c = 0; c < layout.channels; ++c) {
      const Multiplier scale = params.ScaleOf(c);
      const std::int32_t zero = params.ZeroOf(c);
      const std::int64_t addend = params.AddendOf(c);
      for (std::int64_t n = 0; n < layout.inner; ++n, ++i) {
        const std::int64_t scaled = RequantizeScaled(
            params.scheme, params.rounding, std::int64_t{in[i]} - params.input_zero, scale, addend);
        out[i] = ShiftAndClamp(scaled, zero, params.range, &saturated);
      }
    }
  }
  return saturated;
}

}  // namespace qsim::golden
