// KLObserver: TensorRT's entropy calibration (entropy_threshold.h) on a histogram of |x| with
// kl_bins bins. The first batch that is not all zero fixes the bins' width, max|x| / kl_bins; later
// batches add bins of that width, as NVIDIA's published collector does. So the result depends on
// the order of the batches, and on what the first one is.
#pragma once

#include "sim/calibrate/observe/observers/grouping.h"

namespace qsim::calibrate {

class KlObserver final : public Observer {
 public:
  KlObserver(const Section& section, const ChannelLayout& layout, ObserverStyle style)
      : Observer(layout),
        section_(section),
        style_(style),
        batch_(groups()),
        extremes_(groups()),
        histograms_(groups()) {}

  void EndBatch() override;
  std::vector<RealRange> Ranges() const override;

 private:
  struct Histogram {
    double width = 0;  // 0: nothing but zeros so far
    double top = 0;    // upper edge of the last bin
    std::vector<std::int64_t> bins;
    std::int64_t zeros = 0;  // counted before there was a width
  };
  void Collect(const std::vector<float>& values, Histogram& histogram) const;
  void AddValues(std::span<const float> values, const ChannelLayout& layout) override {
    extremes_.Add(values, layout);
    batch_.Add(values, layout);
  }

  Section section_;
  ObserverStyle style_;
  GroupedBatch batch_;
  Extremes extremes_;
  std::vector<Histogram> histograms_;
};

}  // namespace qsim::calibrate
