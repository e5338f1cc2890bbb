// FQ-ViT's EmaObserver: the extremes of each batch, smoothed between batches with
// percentile_sigma. Depends on order and size of the batches.
#pragma once

#include "sim/calibrate/observe/observers/grouping.h"

namespace qsim::calibrate {

class EmaObserver final : public Observer {
 public:
  EmaObserver(const Section& section, const ChannelLayout& layout, ObserverStyle style)
      : Observer(layout), batch_(groups()), smoothing_(section.percentile_sigma, style) {}

  void EndBatch() override;
  std::vector<RealRange> Ranges() const override { return smoothing_.Ranges(); }

 private:
  void AddValues(std::span<const float> values, const ChannelLayout& layout) override {
    batch_.Add(values, layout);
  }

  Extremes batch_;
  Smoothing smoothing_;
};

}  // namespace qsim::calibrate
