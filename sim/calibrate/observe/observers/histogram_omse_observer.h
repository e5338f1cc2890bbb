// The range with the least expected squared error of quantizing what a mergeable histogram has
// counted, each group by itself. The values of a bin are taken to be spread evenly over it, and the
// error of each code's cell, and of what lies beyond the codes, is integrated exactly.
//
// Tried are the extremes times 1, 0.99, ... 0.11, both ends together; with a zero point then the
// upper end alone, and the lower end alone, beside the best of the other. The first of equals wins.
#pragma once

#include "sim/calibrate/observe/observers/histogram_observer.h"

namespace qsim::calibrate {

// Mean squared error of quantizing the values of a histogram that is not empty, with the scale and
// zero point of `range`.
double ExpectedSquaredError(const DoublingHistogram& histogram, const RealRange& range,
                            QuantRange q, bool has_zero_point);

class HistogramOmseObserver final : public HistogramObserver {
 public:
  HistogramOmseObserver(const Section& section, const ChannelLayout& layout, ObserverStyle style)
      : HistogramObserver(layout, style),
        q_(RangeOf(section)),
        has_zero_point_(section.has_zero_point),
        style_(style) {}

 private:
  RealRange RangeOfGroup(const DoublingHistogram& histogram) const override;

  QuantRange q_;
  bool has_zero_point_;
  ObserverStyle style_;
};

}  // namespace qsim::calibrate
