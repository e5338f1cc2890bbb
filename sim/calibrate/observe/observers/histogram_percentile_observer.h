// The quantiles percentile_alpha and 1 - percentile_alpha of all values, from a mergeable
// histogram: at most one bin's width from those of the values themselves.
#pragma once

#include "sim/calibrate/observe/observers/histogram_observer.h"

namespace qsim::calibrate {

class HistogramPercentileObserver final : public HistogramObserver {
 public:
  HistogramPercentileObserver(const Section& section, const ChannelLayout& layout,
                              ObserverStyle style)
      : HistogramObserver(layout, style), alpha_(section.percentile_alpha) {}

 private:
  RealRange RangeOfGroup(const DoublingHistogram& histogram) const override;

  double alpha_;
};

}  // namespace qsim::calibrate
