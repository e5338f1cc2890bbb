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
    Plan plan = Calibrator(network_, config, OptionsIn(scope)).plan();
    if (!seen_.Serve(plan)) expected_.push_back(std::move(plan));
  } catch (const ReadError&) {
    throw;
  } catch (const InputError&) {
    return;  // said where it is asked for
  }
}

Bundle Recalibration::With(const Config& config, std::optional<Scope> scope) {
  const Calibrator calibrator(network_, config, OptionsIn(scope));
  if (!seen_.Serve(calibrator.plan())) {
    std::vector<Plan> plans = expected_;
    plans.push_back(calibrator.plan());
    Observations missing = seen_.MissingFor(plans);
    calibrator.Observe(inputs_, missing);
    seen_.Append(std::move(missing));
    expected_.clear();
  }
  return calibrator.Lower(seen_.Of(calibrator.plan()), inputs_.source);
}

}  // namespace qsim::calibrate
