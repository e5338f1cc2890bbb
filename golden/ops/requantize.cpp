#include "golden/ops/requantize.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/require.h"

namespace qsim {

std::int32_t RequantizeValue(std::int64_t x_minus_zero, Multiplier scale, std::int64_t addend,
                             std::int32_t zero, Rounding rounding, QuantRange range,
                             std::int64_t* saturated) {
  std::int64_t sum = 0;
  const bool overflow = __builtin_mul_overflow(x_minus_zero, std::int64_t{scale.m}, &sum) ||
                        __builtin_add_overflow(sum, addend, &sum);
  Require(!overflow, "Requantize: x * M + addend leaves 64 bits");
  std::int64_t shifted = RoundShift(sum, scale.shift, rounding);
  Require(!__builtin_add_overflow(shifted, std::int64_t{zero}, &shifted),
          "Requantize: the result before the clamp leaves 64 bits");
  const std::int64_t clamped =
      std::min(std::max(shifted, std::int64_t{range.qmin}), std::int64_t{range.qmax});
  if (saturated != nullptr && clamped != shifted) ++*saturated;
  return static_cast<std::int32_t>(clamped);
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

std::int64_t Requantize(std::span<const std::int32_t> in, const RequantizeParams& params,
                        std::span<std::int32_t> out) {
  const ChannelLayout& layout = params.layout;
  Require(Matches(layout, in.size()) && in.size() == out.size(),
          "Requantize: in and out must have the layout's size");
  Require(
      OneOrPerChannel(layout, params.scale.size()) && OneOrPerChannel(layout, params.zero.size()),
      "Requantize: scale and zero need one entry or one per channel");
  std::int64_t saturated = 0;
  std::size_t i = 0;
  for (std::int64_t o = 0; o < layout.outer; ++o) {
    for (std::int64_t c = 0; c < layout.channels; ++c) {
      const Multiplier scale = params.ScaleOf(c);
      const std::int32_t zero = params.ZeroOf(c);
      for (std::int64_t n = 0; n < layout.inner; ++n, ++i) {
        out[i] = RequantizeValue(std::int64_t{in[i]} - params.input_zero, scale, 0, zero,
                                 params.rounding, params.range, &saturated);
      }
    }
  }
  return saturated;
}

}  // namespace qsim
