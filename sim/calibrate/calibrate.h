// Weights, calibration data and a configuration to a bundle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/bundle/grids_file.h"
#include "sim/calibrate/observe/calibration.h"
#include "sim/calibrate/observe/observations.h"
#include "sim/calibrate/plan/plan.h"
#include "sim/config/config.h"
#include "sim/config/scope.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::calibrate {

struct CalibrateOptions {
  Scope scope = Scope::kAttention;
  std::string until;                 // a tap: the program ends there; empty: at its end
  std::vector<std::int64_t> blocks;  // ascending, unique; empty: all of the model's
  Realise realise = Realise::kExact;
  std::optional<GridsFile> grids;  // taken in place of what would be chosen
  // Inputs that make one batch of the observers. Those that are not mergeable depend on it.
  std::int64_t batch = 32;
  int threads = 1;
};

// The steps of a calibration, for those who take them apart (shards).
class Calibrator {
 public:
  // Plans everything, so that a request which cannot be realised costs no time. `network`
  // must outlive the object. Throws InputError.
  Calibrator(const network::Network& network, const Config& config,
             const CalibrateOptions& options);

  const Plan& plan() const { return plan_; }
  const CalibrateOptions& options() const { return options_; }
  Observations NoObservations() const { return Observations(plan_); }
  // Throws InputError for NaN or Inf in a tensor, and early for scores that no softmax of the
  // plan's kind can take.
  void Observe(const CalibrationInputs& inputs, Observations& observations) const;
  // The program of the chosen blocks, its scales and notes; without inputs. Throws InputError for a
  // tensor that was never seen, and when an accumulator is too narrow under policy `error`.
  Bundle Lower(const Observations& observations, const InputSource& source) const;

 private:
  void FirstLook(const CalibrationInputs& inputs) const;

  const network::Network& network_;
  const Config& config_;
  CalibrateOptions options_;
  Plan plan_;
};

// All of it. The result does not depend on the number of threads, the machine or the compiler;
// with mergeable observers, not on the batch or the order of the inputs either.
Bundle Calibrate(const network::Network& network, const Config& config,
                 const CalibrationInputs& inputs, const CalibrateOptions& options);
Bundle Calibrate(const network::Network& network, const Config& config, const ModelInputs& inputs,
                 const CalibrateOptions& options);

}  // namespace qsim::calibrate
