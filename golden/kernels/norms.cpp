#include "golden/kernels/norms.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "golden/kernels/vectors.h"
#include "golden/ops/integer_sqrt.h"
#include "golden/ops/rounding.h"

namespace qsim::golden::kernels {
namespace {

// From here on the squares of a row may leave 64 bits, or x' 25 of them.
constexpr std::int64_t kMostChannels = 4096;
constexpr std::int64_t kMostInput = std::int64_t{1} << 24;
constexpr std::int64_t kMost = std::int64_t{1} << 62;

std::int64_t LargestMultiplier(std::span<const Multiplier> scale) {
  std::int64_t largest = 0;
  for (const Multiplier& s : scale) largest = std::max(largest, std::abs(std::int64_t{s.m}));
  return largest;
}

// Whether every (x - zero) << shift stays within what ShiftedSum takes.
bool Small(QuantRange x, std::int64_t zero, int shift) {
  return std::max(std::abs(x.qmin - zero), std::abs(x.qmax - zero)) <= kMostInput >> shift;
}

int LargestShift(const std::vector<std::int32_t>& shifts) {
  return shifts.empty() ? 0 : *std::max_element(shifts.begin(), shifts.end());
}

// Whether a factor is one that ScaleNormRow takes, and no product behind it leaves 63 bits.
bool Fits(std::int64_t largest, std::int64_t factor, std::int64_t largest_bias,
          std::int64_t further) {
  if (factor >= std::int64_t{1} << 31) return false;
  const std::int64_t y = (largest * factor >> 1) + 1 + largest_bias;  // below 2^57 + 2^62
  return y < kMost / std::max<std::int64_t>(further, 1);
}

std::int64_t Std(const IbertLayernormParams& p, std::int64_t squares) {
  return IbertStd({}, p.std_shift, squares);
}
std::int64_t Std(const IvitLayernormParams&, std::int64_t squares) { return IvitStd({}, squares); }
int StdShift(const IbertLayernormParams& p) { return p.std_shift; }
int StdShift(const IvitLayernormParams&) { return 0; }
std::int64_t Numerator(const IbertLayernormParams&) { return kIbertNumerator; }
std::int64_t Numerator(const IvitLayernormParams&) { return kIvitNumerator; }

}  // namespace

LayernormRows::LayernormRows(const LayernormParams& params, QuantRange input, QuantRange range,
                             std::int64_t channels)
    : params_(params), range_(range), d_(static_cast<std::size_t>(channels)) {
  std::visit(
      [&](const auto& p) {
        int shift = 0;
        if constexpr (requires { p.input_shift; }) shift = LargestShift(p.input_shift);
        small_ = channels <= kMostChannels && Small(input, p.input_zero, shift);
        if constexpr (requires { p.scale; }) {
          rooted_.emplace(Rooted{Ratios(p.scale, p.zero, p.rounding, range, channels), Alternate(0),
                                 0, LargestMultiplier(p.scale)});
          rooted_->bias = Alternate(rooted_->ratios.m_a.size());
          for (std::size_t c = 0; c < p.bias.size(); ++c) {
            rooted_->bias[c] = p.bias[c];
            rooted_->largest_bias = std::max(rooted_->largest_bias, std::abs(p.bias[c]));
          }
        }
      },
      params);
}

template <typename Params>
std::int64_t LayernormRows::RootedRow(const Params& params, std::span<const std::int32_t> x,
                                      std::span<std::int32_t> out) {
  const auto reference = [&] {
    by_reference_ = true;
    return Layernorm(x, params_, range_, out);
  };
  if (!small_) return reference();
  const std::int64_t sum =
      ShiftedSum(x, params.input_zero,
                 params.input_shift.empty() ? nullptr : params.input_shift.data(), d_.data());
  const std::int64_t mean =
      RoundDivide(sum, static_cast<std::int64_t>(x.size()), Rounding::kHalfEven);
  const Spread spread = Centre(d_, static_cast<std::int32_t>(mean), StdShift(params));
  // Of at most 2^12 2^50 and eps: what the roots take for an eps is the whole sum here.
  if (spread.squares > kMost - params.eps) return reference();
  const std::int64_t factor = Numerator(params) / Std(params, spread.squares + params.eps);
  if (!Fits(spread.largest, factor, rooted_->largest_bias, rooted_->largest_m)) return reference();
  return ScaleNormRow(rooted_->ratios, static_cast<std::int64_t>(x.size()), d_.data(), factor,
                      &rooted_->bias, nullptr, out.data());
}

std::int64_t LayernormRows::DeeployRow(const DeeployLayernormParams& params,
                                       std::span<const std::int32_t> x,
                                       std::span<std::int32_t> out) {
  // Products of 32-bit weights stay within 63 bits.
  if (!small_) {
    by_reference_ = true;
    return Layernorm(x, params_, range_, out);
  }
  const auto channels = static_cast<std::int64_t>(x.size());
  const std::int64_t sum =
      ShiftedSum(x, static_cast<std::int32_t>(params.input_zero), nullptr, d_.data());
  const Spread spread = Centre(d_, static_cast<std::int32_t>(sum / channels), 0);
  const UInt128 squares = static_cast<UInt128>(spread.squares) + static_cast<UInt128>(params.eps);
  const auto std_int =
      static_cast<std::int64_t>(IntegerSqrt(squares / static_cast<UInt128>(channels) + 1));
  std::int64_t saturated = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const std::int64_t scaled = std::int64_t{d_[c]} * params.weight[c] / std_int;
    std::int64_t y = (scaled + params.bias[c]) >> params.log2d;
    if (params.wrap) y = static_cast<std::int8_t>(y);
    const std::int64_t clamped =
        std::clamp(y, std::int64_t{range_.qmin}, std::int64_t{range_.qmax});
    saturated += clamped != y;
    out[c] = static_cast<std::int32_t>(clamped);
  }
  return saturated;
}

std::int64_t LayernormRows::Row(std::span<const std::int32_t> x, std::span<std::int32_t> out) {
  return std::visit(
      [&](const auto& p) {
        if constexpr (requires { p.scale; }) {
          return RootedRow(p, x, out);
        } else {
          return DeeployRow(p, x, out);
        }
      },
      params_);
}

RmsnormRows::RmsnormRows(const RmsnormParams& params, QuantRange input, QuantRange gate,
                         QuantRange range, std::int64_t channels)
    : params_(params),
      range_(range),
      small_(channels <= kMostChannels &&
             Small(input, params.input_zero, LargestShift(params.input_shift)) &&
             Small(gate, params.gate_zero, 0)),
      ratios_(params.scale, params.zero, params.rounding, range, channels),
      largest_m_(LargestMultiplier(params.scale)),
      d_(static_cast<std::size_t>(channels)),
      gate_(static_cast<std::size_t>(channels)) {}

std::int64_t RmsnormRows::Row(std::span<const std::int32_t> x, std::span<const std::int32_t> gate,
                              std::span<std::int32_t> out) {
  const auto reference = [&] {
    by_reference_ = true;
    return Rmsnorm(x, gate, params_, range_, out);
  };
  if (!small_) return reference();
  ShiftedSum(x, params_.input_zero,
             params_.input_shift.empty() ? nullptr : params_.input_shift.data(), d_.data());
  const Spread spread = Centre(d_, 0, params_.rms_shift);
  if (spread.squares > kMost - params_.eps) return reference();
  const std::int64_t factor =
      kIbertNumerator / IbertStd({}, params_.rms_shift, spread.squares + params_.eps);
  std::int64_t largest_gate = 1;
  if (!gate.empty()) {
    ShiftedSum(gate, params_.gate_zero, nullptr, gate_.data());
    for (const std::int32_t g : gate_)
      largest_gate = std::max(largest_gate, std::abs(std::int64_t{g}));
  }
  if (!Fits(spread.largest, factor, 0, largest_gate * largest_m_)) return reference();
  return ScaleNormRow(ratios_, static_cast<std::int64_t>(x.size()), d_.data(), factor, nullptr,
                      gate.empty() ? nullptr : gate_.data(), out.data());
}

}  // namespace qsim::golden::kernels
