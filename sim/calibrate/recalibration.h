// Calibrations of one network with one configuration after the other, on the same inputs: what was
// observed for one serves the next.
#pragma once

#include <optional>
#include <vector>

#include "sim/calibrate/calibrate.h"

namespace qsim::calibrate {

class Recalibration {
 public:
  // The network must outlive this, and so must what the inputs are read from.
  Recalibration(const network::Network& network, CalibrationInputs inputs, CalibrateOptions options)
      : network_(network), inputs_(std::move(inputs)), options_(std::move(options)) {}

  // That a configuration may be asked for, so that the next pass over the inputs, if there is one,
  // serves it as well; one that cannot be planned is none.
  void Expect(const Config& config, std::optional<Scope> scope = std::nullopt);

  // The bundle of Calibrate(), bit for bit, in the options' scope or another. Throws InputError as
  // that does. Only where nobody has asked for such an observer yet do the inputs run again.
  Bundle With(const Config& config, std::optional<Scope> scope = std::nullopt);

 private:
  CalibrateOptions OptionsIn(std::optional<Scope> scope) const;

  const network::Network& network_;
  const CalibrationInputs inputs_;
  const CalibrateOptions options_;
  std::vector<Plan> expected_;  // what was seen does not serve them yet
  Observations seen_;
};

}  // namespace qsim::calibrate
