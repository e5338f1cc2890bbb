#include "sim/calibrate/observe/observers/histogram_percentile_observer.h"

namespace qsim::calibrate {

RealRange HistogramPercentileObserver::RangeOfGroup(const DoublingHistogram& histogram) const {
  return {histogram.Quantile(1 - alpha_), histogram.Quantile(alpha_)};
}

}  // namespace qsim::calibrate
