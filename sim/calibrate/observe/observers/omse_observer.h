// FQ-ViT's OmseObserver: of the extremes times 1, 0.99, ... 0.11, the first with the least squared
// error of quantizing the last batch. One factor serves all groups, as published. Depends on which
// inputs make the last batch, and keeps them.
#pragma once

#include "sim/calibrate/observe/observers/grouping.h"

namespace qsim::calibrate {

class OmseObserver final : public Observer {
 public:
  OmseObserver(const Section& section, const ChannelLayout& layout, ObserverStyle style)
      : Observer(layout),
        q_(RangeOf(section)),
        has_zero_point_(section.has_zero_point || style == ObserverStyle::kPublished),
        style_(style),
        extremes_(groups()) {}

  void EndBatch() override { last_batch_.End(); }
  std::vector<RealRange> Ranges() const override;

 private:
  void AddValues(std::span<const float> values, const ChannelLayout& layout) override {
    extremes_.Add(values, layout);
    last_batch_.Add(values, layout);
  }

  QuantRange q_;
  bool has_zero_point_;
  ObserverStyle style_;
  Extremes extremes_;
  LastBatch last_batch_;
};

}  // namespace qsim::calibrate
