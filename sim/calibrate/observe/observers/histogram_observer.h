// What the observers on mergeable histograms share: one histogram per group.
#pragma once

#include "sim/calibrate/observe/observers/grouping.h"

namespace qsim::calibrate {

class HistogramObserver : public Observer {
 public:
  std::vector<RealRange> Ranges() const override;
  ObserverState State() const override;

 protected:
  // half_bins <= 0: 2048 for one group, 512 each for several.
  HistogramObserver(const ChannelLayout& layout, ObserverStyle style, std::int32_t half_bins = 0);

 private:
  // The range of one group, whose histogram is not empty.
  virtual RealRange RangeOfGroup(const DoublingHistogram& histogram) const = 0;
  void AddValues(std::span<const float> values, const ChannelLayout& layout) final;
  void MergeState(const ObserverState& state) final;

  ObserverStyle style_;
  std::vector<DoublingHistogram> histograms_;
  mutable std::vector<RealRange> ranges_;  // of what has been seen; empty: not known yet
};

}  // namespace qsim::calibrate
