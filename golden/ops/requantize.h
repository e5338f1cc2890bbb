// Requantize: a wide integer to a narrow one by an integer multiplier and a right shift.
// docs/numerics.md section 4.
//
//   y = clamp(z + round_shift((x - x_zero) * M + addend, S), qmin, qmax)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "golden/ops/rounding.h"

namespace qsim {

// M / 2^S, the integers that stand for a ratio of scales.
struct Multiplier {
  std::int32_t m = 1;  // |m| in 1 .. 2^31 - 1
  int shift = 0;       // 0..62
  bool operator==(const Multiplier&) const = default;
};

// The integers a narrow tensor may hold, and the one that stands for real 0.
struct QuantRange {
  std::int32_t qmin = -128;
  std::int32_t qmax = 127;
  bool operator==(const QuantRange&) const = default;
};

// One element. |x - x_zero| <= 2^31, |addend| <= 2^61 (the wide port that the residual add uses),
// |zero| <= 2^16, qmin <= qmax. *saturated is incremented when the clamp changed the value.
// Operands beyond these ranges throw std::invalid_argument where 64 bits would overflow.
std::int32_t RequantizeValue(std::int64_t x_minus_zero, Multiplier scale, std::int64_t addend,
                             std::int32_t zero, Rounding rounding, QuantRange range,
                             std::int64_t* saturated = nullptr);

// How the elements of a tensor map to channels: element ((o * channels) + c) * inner + i belongs to
// channel c. Per tensor: channels = 1. Last axis: inner = 1. Heads of [H, T, T]: outer = 1.
struct ChannelLayout {
  std::int64_t outer = 1;
  std::int64_t channels = 1;
  std::int64_t inner = 1;
  std::int64_t size() const { return outer * channels * inner; }
  std::int64_t ChannelOf(std::int64_t element) const { return (element / inner) % channels; }
};

// Whether a tensor of so many elements has this layout, and whether a parameter with so many
// entries has one entry or one per channel.
bool Matches(const ChannelLayout& layout, std::size_t elements);
bool OneOrPerChannel(const ChannelLayout& layout, std::size_t entries);

// `scale` and `zero` have one entry or one per channel.
struct RequantizeParams {
  ChannelLayout layout = {};
  std::span<const Multiplier> scale = {};
  std::span<const std::int32_t> zero = {};
  std::int32_t input_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range = {};

  Multiplier ScaleOf(std::int64_t channel) const {
    return scale[scale.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
  }
  std::int32_t ZeroOf(std::int64_t channel) const {
    return zero[zero.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
  }
};

// A whole tensor; in and out hold layout.size() elements. Returns how many elements the clamp
// changed. Throws std::invalid_argument where sizes disagree.
std::int64_t Requantize(std::span<const std::int32_t> in, const RequantizeParams& params,
                        std::span<std::int32_t> out);

}  // namespace qsim
