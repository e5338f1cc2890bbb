#include "sim/calibrate/observe/observers/minmax_observer.h"

#include "sim/error.h"

namespace qsim::calibrate {

void MinmaxObserver::MergeState(const ObserverState& state) {
  if (state.extremes.size() != groups() || !state.histograms.empty()) {
    throw InputError("not the extremes of each of its groups");
  }
  for (const RealRange& range : state.extremes) {
    if (!(range.min <= range.max) || !std::isfinite(range.min) || !std::isfinite(range.max)) {
      throw InputError("extremes must be finite and in order");
    }
  }
  for (std::size_t g = 0; g < groups(); ++g) extremes_.Include(g, state.extremes[g]);
}

}  // namespace qsim::calibrate
