// FQ-ViT's PtfObserver, power-of-two factors (Lin et al., "FQ-ViT: Post-Training Quantization for
// Fully Quantized Vision Transformer", IJCAI 2022): one base scale and one zero point from the
// overall range; each group takes base / 8 times 1, 2, 4 or 8, the first with the least squared
// error of quantizing the last batch. Depends on which inputs make the last batch, and keeps them.
//
// A group's range is the overall one times factor / 8: multiplication by a power of two is exact,
// so that QuantizationOf gives the published scale and, for every group, the published zero point.
#pragma once

#include "sim/calibrate/observe/observers/grouping.h"

namespace qsim::calibrate {

class PtfObserver final : public Observer {
 public:
  PtfObserver(const Section& section, const ChannelLayout& layout, ObserverStyle style)
      : Observer(layout),
        q_(RangeOf(section)),
        has_zero_point_(section.has_zero_point || style == ObserverStyle::kPublished),
        style_(style),
        extremes_(1) {}

  void EndBatch() override { last_batch_.End(); }
  std::vector<RealRange> Ranges() const override;

 private:
  void AddValues(std::span<const float> values, const ChannelLayout& layout) override {
    extremes_.Add(values, {1, 1, layout.size()});
    last_batch_.Add(values, layout);
  }

  QuantRange q_;
  bool has_zero_point_;
  ObserverStyle style_;
  Extremes extremes_;  // of all groups together
  LastBatch last_batch_;
};

}  // namespace qsim::calibrate
