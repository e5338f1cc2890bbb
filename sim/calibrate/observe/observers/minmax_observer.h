// The extremes of all values.
#pragma once

#include "sim/calibrate/observe/observers/grouping.h"

namespace qsim::calibrate {

class MinmaxObserver final : public Observer {
 public:
  MinmaxObserver(const ChannelLayout& layout, ObserverStyle style)
      : Observer(layout), extremes_(groups()), style_(style) {}

  std::vector<RealRange> Ranges() const override { return Styled(extremes_.ranges(), style_); }
  ObserverState State() const override { return {extremes_.ranges(), {}}; }

 private:
  void AddValues(std::span<const float> values, const ChannelLayout& layout) override {
    extremes_.Add(values, layout);
  }
  void MergeState(const ObserverState& state) override;

  Extremes extremes_;
  ObserverStyle style_;
};

}  // namespace qsim::calibrate
