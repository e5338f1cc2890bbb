// FQ-ViT's PercentileObserver: per batch the quantiles alpha and 1 - alpha of each group (alpha =
// 1: its maximum and minimum), smoothed between batches with percentile_sigma. Depends on order and
// size of the batches.
#pragma once

#include "sim/calibrate/observe/observers/grouping.h"

namespace qsim::calibrate {

class PercentileObserver final : public Observer {
 public:
  PercentileObserver(const Section& section, const ChannelLayout& layout, ObserverStyle style)
      : Observer(layout),
        alpha_(section.percentile_alpha),
        batch_(groups()),
        smoothing_(section.percentile_sigma, style) {}

  void EndBatch() override;
  std::vector<RealRange> Ranges() const override { return smoothing_.Ranges(); }

 private:
  void AddValues(std::span<const float> values, const ChannelLayout& layout) override {
    batch_.Add(values, layout);
  }

  double alpha_;
  GroupedBatch batch_;
  Smoothing smoothing_;
};

}  // namespace qsim::calibrate
