#include "sim/calibrate/observe/observers/ema_observer.h"

namespace qsim::calibrate {

void EmaObserver::EndBatch() {
  smoothing_.Add(batch_.ranges());
  batch_.Reset(groups());
}

}  // namespace qsim::calibrate
