#include "sim/calibrate/recalibration.h"

#include <utility>

#include "sim/error.h"

namespace qsim::calibrate {

CalibrateOptions Recalibration::OptionsIn(std::optional<Scope> scope) const {
  CalibrateOptions options = options_;
  options.scope = scope.value_or(options.scope);
  return options;
}

void Recalibration::Expect(const Config& config, std::optional<Scope> scope) {
  try {
    plans_.push_back(Calibrator(network_, config, OptionsIn(scope)).plan());
  } catch (const InputError&) {
    return;  // said where it is asked for
  }
}

Bundle Recalibration::With(const Config& config, std::optional<Scope> scope) {
  const Calibrator calibrator(network_, config, OptionsIn(scope));
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
