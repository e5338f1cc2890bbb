// Calibrations of one network with one configuration after the other, on the same inputs: what was
// observed for one serves the next.
#pragma once

#include <optional>
#include <vector>

#include "sim/calibrate/calibrate.h"

namespace qsim::calibrate {

class Recalibration {
 public:
  // All must outlive this.
  Recalibration(const network::Network& network, const ModelInputs& inputs,
                const CalibrateOptions& options)
      : network_(network), inputs_(CalibrationInputs::From(inputs)), options_(options) {}

  // The bundle of Calibrate(), bit for bit. Throws InputError as that does. Only where nobody has
  // asked for such an observer yet do the inputs run again.
  Bundle With(const Config& config);

 private:
  const network::Network& network_;
  const CalibrationInputs inputs_;
  const CalibrateOptions& options_;
  std::vector<Plan> plans_;  // those that the inputs ran for
  std::optional<Observations> seen_;
};

}  // namespace qsim::calibrate
