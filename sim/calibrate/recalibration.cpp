#include "sim/calibrate/recalibration.h"

#include <utility>

namespace qsim::calibrate {

Bundle Recalibration::With(const Config& config) {
  const Calibrator calibrator(network_, config, options_);
  std::optional<Observations> own;
  if (seen_) own = seen_->Of(calibrator.plan());
  if (!own) {
    std::vector<Plan> plans = plans_;
    plans.push_back(calibrator.plan());
    Observations seen = Observations::ForAny(plans);
    calibrator.Observe(inputs_, seen);
    own = seen.Of(calibrator.plan());
    plans_ = std::move(plans);
    seen_ = std::move(seen);
  }
  return calibrator.Lower(own.value(), inputs_.source);
}

}  // namespace qsim::calibrate
