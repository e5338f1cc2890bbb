// TensorRT's entropy rule (entropy_threshold.h) on a mergeable histogram of at most kl_bins bins on
// either side of 0, whose two sides are added.
#pragma once

#include "sim/calibrate/observe/observers/histogram_observer.h"

namespace qsim::calibrate {

class HistogramKlObserver final : public HistogramObserver {
 public:
  HistogramKlObserver(const Section& section, const ChannelLayout& layout, ObserverStyle style)
      : HistogramObserver(layout, style, section.kl_bins / 2 * 2), section_(section) {}

 private:
  RealRange RangeOfGroup(const DoublingHistogram& histogram) const override;

  Section section_;
};

}  // namespace qsim::calibrate
