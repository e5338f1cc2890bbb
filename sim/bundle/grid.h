// The grid of a tensor: scale, zero point and range, and the way between real numbers, steps of the
// scale and codes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "golden/ops/one_or_each.h"
#include "golden/program/program.h"
#include "sim/bundle/grid_vectors.h"
#include "sim/config/section.h"
#include "sim/namespaces.h"

namespace qsim::bundle {

// One channel: real = scale * (q - zero)
struct Quantization {
  double scale = 1;
  std::int32_t zero = 0;
  bool operator==(const Quantization&) const = default;
};

// clamp(half_even(x / s + z), qmin, qmax), or another rule of docs/numerics.md section 1.
// *saturated, if not null, is incremented when the clamp changed the value.
std::int32_t Quantize(double x, Quantization quantization, QuantRange range,
                      std::int64_t* saturated = nullptr,
                      QuantizeRule rule = QuantizeRule::kZeroThenHalfEven);

// What the integers of a tensor mean: real = scale[c] * (q - zero[c]). No golden or RTL operation
// reads it.
struct TensorScale {
  // kLinear as above; kLog2: q is a code, real = 2^-q, and the zero flag (the range's largest code)
  // means 0.
  enum class Kind : std::uint8_t { kLinear, kLog2 };
  Kind kind = Kind::kLinear;
  ChannelAxis axis = ChannelAxis::kNone;
  std::vector<double> scale;       // one, or one per channel of `axis`
  std::vector<std::int32_t> zero;  // one, or one per channel of `axis`
  // Where a function-preserving rewrite has divided the channels: by what, and the scale in which
  // their integers count then, one or one per group. `scale` is the product of both.
  std::vector<double> unit = {}, factor = {};
  WeightRounding rounding = WeightRounding::kNearest;  // of a layer's weights: how they got here

  Quantization At(std::size_t channel) const {
    return {EntryFor(scale, channel), EntryFor(zero, channel)};
  }
  // Whether the lists have one entry, or one for each of so many channels.
  bool Fits(std::size_t channels) const;
  // Whether there is a rewrite whose unit and factors are those of `scale`.
  bool Rewritten() const;
  bool operator==(const TensorScale&) const = default;
};

class Grid {
 public:
  // Both must outlive this. Of a tensor with a run-time length, values of any length are taken.
  // Throws InternalError where the scale does not fit the tensor.
  Grid(const TensorInfo& info, const TensorScale& scale,
       QuantizeRule rule = QuantizeRule::kZeroThenHalfEven);

  // Of the axis along which scales and zero points run; 1 where there is one for the tensor.
  std::size_t channels() const { return channels_; }
  // Of one of so many elements.
  std::size_t ChannelOf(std::size_t element, std::size_t elements) const {
    return element / Inner(elements) % channels_;
  }
  Quantization At(std::size_t channel) const { return scale_->At(channel); }

  // x / s + z, neither rounded nor clamped; log2 codes: -log2 x, and the zero flag for what is not
  // positive. 0 steps above the zero point for a NaN.
  double Units(Quantization q, double x) const {
    if (log2()) return x > 0 ? std::min(-std::log2(x), zero_flag()) : zero_flag();
    const double zero = static_cast<double>(q.zero);
    const double units = x / q.scale + zero;
    return std::isnan(units) ? zero : units;
  }
  double Real(Quantization q, double units) const {
    if (log2()) return units >= zero_flag() ? 0 : std::exp2(-units);
    return q.scale * (units - static_cast<double>(q.zero));
  }
  double Clamped(double units) const {
    return std::clamp(units, static_cast<double>(info_->range.qmin),
                      static_cast<double>(info_->range.qmax));
  }

  // action(element, quantization) for so many elements, in storage order.
  template <typename Action>
  void ForEach(std::size_t elements, Action action) const {
    const std::size_t inner = Inner(elements);
    for (std::size_t element = 0; element < elements;) {
      for (std::size_t c = 0; c < channels_; ++c) {
        const Quantization q = At(c);
        for (std::size_t i = 0; i < inner; ++i) action(element++, q);
      }
    }
  }

  // Of all elements: Units, then rounded, clamped and shifted as asked. Returns whether every one
  // is a whole number within the range.
  bool ToUnits(std::span<const double> real, const Stepping& stepping,
               std::span<double> units) const;
  // Real, in place.
  void ToReal(std::span<double> units) const;
  // Whole units within the range, as the tensor stores them.
  IntTensor Codes(std::span<const double> units) const;
  // Real numbers rounded and clamped, docs/numerics.md section 1. *saturated, if not null, is
  // increased by the number of elements that the clamp changed.
  IntTensor Quantize(std::span<const float> real, std::int64_t* saturated = nullptr) const;
  // The real numbers that the codes of one image stand for.
  std::vector<double> Dequantize(const IntTensor& codes) const;
  std::vector<float> DequantizeToFloat(const IntTensor& codes) const;

 private:
  bool log2() const { return scale_->kind == TensorScale::Kind::kLog2; }
  double zero_flag() const { return static_cast<double>(info_->range.qmax); }
  // Elements of a channel that lie side by side.
  std::size_t Inner(std::size_t elements) const {
    return scale_->axis == ChannelAxis::kLast ? 1 : elements / channels_;
  }
  GridLayout Layout(std::size_t elements) const;
  template <typename T>
  std::vector<T> RealOf(const IntTensor& codes) const;

  const TensorInfo* info_;
  const TensorScale* scale_;
  QuantizeRule rule_;
  std::size_t channels_ = 1;
};

}  // namespace qsim::bundle
