// Runs the float reference over the calibration inputs, once, and shows every tensor that needs a
// scale to its observer.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/calibrate/observe/observations.h"
#include "sim/inputs/input_reader.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::calibrate {

// What all calibration inputs have in common.
struct InputSource {
  // How images become reals; empty for tokens.
  std::vector<double> mean, stddev;
  std::string file;  // for messages; may be empty

  static InputSource From(const InputSpec& spec);
};

// Calibration inputs, or a contiguous share of them, read in pieces.
struct CalibrationInputs {
  std::int64_t count = 0;
  std::int64_t offset = 0;  // of the share in all inputs, for messages
  InputSource source;
  // The inputs from `first` on: at most `most`, at least one, all of one length.
  std::function<ModelInputs(std::int64_t first, std::int64_t most)> read;

  // `inputs` must outlive the result.
  static CalibrationInputs From(const ModelInputs& inputs);
  // The inputs [first, first + count) of a reader, which must outlive the result.
  static CalibrationInputs From(const InputReader& reader, const InputSpec& spec,
                                std::int64_t first, std::int64_t count);
};

// Of the contents (inputs_hash.h).
std::string HashOf(const CalibrationInputs& inputs);

struct CalibrationSettings {
  std::int64_t batch = 32;  // inputs in one batch of the observers; observers that are not
                            // mergeable depend on it
  int threads = 1;
};

// Adds the inputs to what has been seen. They run in parallel; observers see them in order. Nothing
// is kept of a batch when it is over, except by observers whose publication judges the last one: so
// memory depends on model, batch and threads, not on the number of inputs. Throws InputError for a
// NaN or Inf: it names tensor, index and the first input that has one, and the first such tensor in
// the order of the network.
void ObserveInputs(const network::Network& network, const CalibrationInputs& inputs,
                   const CalibrationSettings& settings, Observations& observations);

}  // namespace qsim::calibrate
