#include "golden/kernels/recurrence.h"

#include <algorithm>
#include <cstdlib>

namespace qsim::golden::kernels {
namespace {

constexpr std::int64_t kPadding = 16;  // the most lanes of 32 bits

}  // namespace
template <typename Visit>
void GatedStates::ForEachElement(Visit visit) const {
  for (std::int64_t row = 0; row < heads_.state * keys_; ++row) {
    const std::int64_t head = row / keys_, k = row % keys_;
    for (std::int64_t v = 0; v < values_; ++v) {
      const std::int64_t stored =
          params_.value_first ? (head * values_ + v) * keys_ + k : row * values_ + v;
      visit(static_cast<std::size_t>(row * stride_ + v), static_cast<std::size_t>(stored));
    }
  }
}

GatedStates::GatedStates(const GatedUpdateParams& params, const StateHeads& heads, QuantRange range,
                         std::span<const std::int32_t> past)
    : params_(params),
      heads_(heads),
      range_(range),
      keys_(params.key_width),
      values_(params.value_width),
      stride_((values_ + kPadding - 1) / kPadding * kPadding),
      states_(static_cast<std::size_t>(heads.state * keys_ * stride_)),
      value_(static_cast<std::size_t>(stride_)),
      decay_(static_cast<std::size_t>(heads.decay_width)),
      low_(static_cast<std::size_t>(keys_)),
      high_(static_cast<std::size_t>(keys_)),
      sums_(static_cast<std::size_t>(stride_)) {
  ForEachElement([&](std::size_t here, std::size_t stored) { states_[here] = past[stored]; });
}

void GatedStates::Update(std::span<const std::int32_t> key, std::span<const std::int32_t> value,
                         std::span<const std::int32_t> decay, AccRange* seen) {
  for (std::int64_t h = 0; h < heads_.state; ++h) {
    const Multiplier scale = EntryFor(params_.update, h);
    const std::int32_t* const keys = key.data() + ShareOf(h, heads_.state, heads_.key) * keys_;
    const std::int32_t* const values =
        value.data() + ShareOf(h, heads_.state, heads_.value) * values_;
    const std::int32_t* const decays =
        decay.data() + ShareOf(h, heads_.state, heads_.decay) * heads_.decay_width;
    bool wide = false;
    const auto factor = [&](std::int64_t k) {
      return (std::int64_t{keys[k]} - params_.key_zero) * scale.m;
    };
    for (std::int64_t k = 0; k < keys_; ++k) wide = wide || std::abs(factor(k)) > INT32_MAX;
    for (std::int64_t k = 0; k < keys_; ++k) {
      const auto at = static_cast<std::size_t>(k);
      low_[at] = static_cast<std::int32_t>(wide ? factor(k) & 0xffff : factor(k));
      high_[at] = static_cast<std::int32_t>(factor(k) >> 16);
    }
    for (std::int64_t v = 0; v < values_; ++v)
      value_[static_cast<std::size_t>(v)] = values[v] - params_.value_zero;
    for (std::int64_t k = 0; k < heads_.decay_width; ++k)
      decay_[static_cast<std::size_t>(k)] = decays[k] - params_.decay_zero;
    saturated_ += UpdateHead({.state = Of(h),
                              .keys = keys_,
                              .stride = stride_,
                              .decay = decay_.data(),
                              .decay_step = heads_.decay_width == 1 ? 0 : 1,
                              .low = low_.data(),
                              .high = wide ? high_.data() : nullptr,
                              .value = value_.data(),
                              .keep = StepOf(params_.rounding, params_.decay_shift),
                              .add = StepOf(params_.rounding, scale.shift),
                              .range = range_},
                             seen);
  }
}

std::int64_t GatedStates::Read(std::int64_t head, std::span<const std::int32_t> query,
                               const StateReadoutParams& params, std::span<std::int32_t> out) {
  ReadHead({.state = Of(head),
            .stride = stride_,
            .query = query,
            .query_zero = params.query_zero,
            .narrow = StepOf(params.rounding, params.state_shift),
            .sums = sums_.data()});
  const RoundingStep step = StepOf(params.rounding, params.scale.shift);
  std::int64_t saturated = 0;
  for (std::size_t v = 0; v < out.size(); ++v) {
    const std::int64_t value = step(sums_[v] * params.scale.m) + params.zero;
    const std::int64_t clamped =
        std::clamp(value, std::int64_t{params.range.qmin}, std::int64_t{params.range.qmax});
    saturated += clamped != value;
    out[v] = static_cast<std::int32_t>(clamped);
  }
  return saturated;
}

std::vector<std::int32_t> GatedStates::States() const {
  std::vector<std::int32_t> states(static_cast<std::size_t>(heads_.state * keys_ * values_));
  ForEachElement([&](std::size_t here, std::size_t stored) { states[stored] = states_[here]; });
  return states;
}

}  // namespace qsim::golden::kernels
