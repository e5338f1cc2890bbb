// What several observers share: walking a tensor by groups, extremes, smoothing, a kept batch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/calibrate/observe/observer.h"

namespace qsim::calibrate {

// Calls f(group, value) for each element, in order.
template <typename Function>
void ForEach(const ChannelLayout& layout, std::span<const float> values, Function f) {
  std::size_t element = 0;
  for (std::int64_t o = 0; o < layout.outer; ++o) {
    for (std::int64_t g = 0; g < layout.channels; ++g) {
      for (std::int64_t i = 0; i < layout.inner; ++i) {
        f(static_cast<std::size_t>(g), values[element++]);
      }
    }
  }
}

inline RealRange Styled(RealRange range, ObserverStyle style) {
  if (style == ObserverStyle::kPublished) return range;
  return {std::min(range.min, 0.0), std::max(range.max, 0.0)};
}

inline std::vector<RealRange> Styled(std::vector<RealRange> ranges, ObserverStyle style) {
  for (RealRange& range : ranges) range = Styled(range, style);
  return ranges;
}

// The extremes of each group.
class Extremes {
 public:
  explicit Extremes(std::size_t groups) { Reset(groups); }

  void Reset(std::size_t groups) { ranges_.assign(groups, {HUGE_VAL, -HUGE_VAL}); }
  void Add(std::span<const float> values, const ChannelLayout& layout) {
    ForEach(layout, values, [&](std::size_t group, float value) {
      const double x = static_cast<double>(value);
      Include(group, {x, x});
    });
  }
  void Include(std::size_t group, const RealRange& range) {
    ranges_[group].min = std::min(ranges_[group].min, range.min);
    ranges_[group].max = std::max(ranges_[group].max, range.max);
  }
  const std::vector<RealRange>& ranges() const { return ranges_; }

 private:
  std::vector<RealRange> ranges_;
};

// Ranges of one batch each, smoothed between batches: r + sigma (c - r), the first as it is.
class Smoothing {
 public:
  Smoothing(double sigma, ObserverStyle style) : sigma_(sigma), style_(style) {}

  void Add(const std::vector<RealRange>& batch) {
    if (ranges_.empty()) {
      ranges_ = batch;
      return;
    }
    for (std::size_t g = 0; g < batch.size(); ++g) {
      ranges_[g].min += sigma_ * (batch[g].min - ranges_[g].min);
      ranges_[g].max += sigma_ * (batch[g].max - ranges_[g].max);
    }
  }

  std::vector<RealRange> Ranges() const { return Styled(ranges_, style_); }

 private:
  double sigma_;
  ObserverStyle style_;
  std::vector<RealRange> ranges_;
};

// The values of one batch, by group. Nothing is kept of it afterwards.
class GroupedBatch {
 public:
  explicit GroupedBatch(std::size_t groups) : groups_(groups) {}

  void Add(std::span<const float> values, const ChannelLayout& layout) {
    ForEach(layout, values, [&](std::size_t group, float x) { groups_[group].push_back(x); });
  }
  std::vector<std::vector<float>> Take() {
    return std::exchange(groups_, std::vector<std::vector<float>>(groups_.size()));
  }

 private:
  std::vector<std::vector<float>> groups_;
};

// The last batch as it came, for observers that judge a range by what it does to real values.
class LastBatch {
 public:
  void Add(std::span<const float> values, const ChannelLayout& layout) {
    if (ended_) inputs_.clear();
    ended_ = false;
    inputs_.push_back({{values.begin(), values.end()}, layout});
  }
  void End() { ended_ = true; }

  template <typename Function>
  void ForEachValue(Function f) const {
    for (const Input& input : inputs_) ForEach(input.layout, input.values, f);
  }

 private:
  struct Input {
    std::vector<float> values;
    ChannelLayout layout;
  };
  std::vector<Input> inputs_;
  bool ended_ = false;
};

}  // namespace qsim::calibrate
