// Requantize: a wide integer to a narrow one by an integer multiplier and a right shift.
// docs/numerics.md section 4.
//
//   y = clamp(z + round_shift((x - x_zero) * M + addend, S), qmin, qmax)
//
// or, in place of round_shift, another project's named scheme (requant/scheme.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "golden/ops/one_or_each.h"
#include "golden/ops/requant/scheme.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {

// The integers a narrow tensor may hold, and the one that stands for real 0.
struct QuantRange {
  std::int32_t qmin = -128;
  std::int32_t qmax = 127;
  bool operator==(const QuantRange&) const = default;
};

// Writes value's nearest in the range, qmin <= qmax, and returns whether that is another one. Of
// int64 or Int128.
template <typename Integer>
bool StoreClamped(Integer value, QuantRange range, std::int32_t& out) {
  const Integer clamped = std::min(std::max(value, Integer{range.qmin}), Integer{range.qmax});
  out = static_cast<std::int32_t>(clamped);
  return clamped != value;
}

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

// `scale` and `zero` have one entry or one per channel, `addend` none, one or one per channel; the
// scheme says where it is added (LimitsOf), and which of the roundings it knows.
struct RequantizeParams {
  ChannelLayout layout = {};
  std::span<const Multiplier> scale = {};
  std::span<const std::int32_t> zero = {};
  std::int32_t input_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range = {};
  RequantScheme scheme = RequantScheme::kRoundShift;
  std::span<const std::int64_t> addend = {};

  Multiplier ScaleOf(std::int64_t channel) const { return EntryFor(scale, channel); }
  std::int32_t ZeroOf(std::int64_t channel) const { return EntryFor(zero, channel); }
  std::int64_t AddendOf(std::int64_t channel) const {
    if (addend.empty()) return 0;
    return EntryFor(addend, channel);
  }
};

// Throws std::invalid_argument unless scale, zero and addend have as many entries as stated above
// and every one passes CheckRequantScheme.
void CheckRequantizeParams(const RequantizeParams& params);

// A whole tensor; in and out hold layout.size() elements, |in - input_zero| <= 2^31. Returns how
// many elements the clamp changed. Throws std::invalid_argument where sizes disagree or the
// parameters fail CheckRequantizeParams.
std::int64_t Requantize(std::span<const std::int32_t> in, const RequantizeParams& params,
                        std::span<std::int32_t> out);

}  // namespace qsim::golden
