// Tries configurations on one model and fixed inputs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/calibrate/observe/calibration.h"
#include "sim/cli/model_options.h"
#include "sim/inputs/input_reader.h"
#include "sim/sweep/pareto.h"

namespace qsim {

class SweepBench {
 public:
  // `loaded` must outlive the bench. Calibrates with its configuration to learn what goes into the
  // program and what comes out of it, and keeps the float values of both for the first `images`
  // evaluation inputs. Throws InputError where that configuration cannot be lowered.
  SweepBench(const LoadedModel& loaded, std::int64_t images, int threads);

  std::int64_t images() const { return inputs_.count(); }
  bool has_labels() const { return !inputs_.labels.empty() && logits_; }
  bool has_classes() const { return logits_; }
  // SHA-256 over all that a result depends on beside the configuration.
  std::string Identity() const;

  // Calibrates with one thread and runs every image. A configuration that cannot be lowered gives a
  // result that says why. May be called from several threads at once.
  SweepResult Try(const Config& config) const;

 private:
  Bundle Lower(const Config& config, int threads) const;
  TensorMap ProgramInputs(const Bundle& bundle, std::size_t image) const;

  const LoadedModel& loaded_;
  InputReader reader_;
  CalibrationInputs calibration_;
  ModelInputs inputs_;
  bool logits_ = false;
  std::vector<std::string> outputs_;                        // what nothing in the program reads
  std::vector<std::map<std::string, FloatTensor>> floats_;  // by image
};

}  // namespace qsim
