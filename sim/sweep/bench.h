// Tries configurations on one model and fixed inputs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/calibrate/calibrate.h"
#include "sim/io/files/identity.h"
#include "sim/sweep/pareto.h"

namespace qsim::sweep {

// What all points have in common.
struct SweepSubject {
  const network::Network& model;
  const CalibrationInputs& calibration;
  const ModelInputs& evaluation;
  CalibrateOptions calibrate;
  std::function<void(Bundle&)> finish =
      {};  // done to every bundle behind its lowering, if anything
};

class SweepBench {
 public:
  // What `subject` refers to must outlive the bench. Calibrates with the base configuration to
  // learn what goes into the program and what comes out of it, and keeps the float values of both.
  // Throws InputError where that configuration cannot be lowered.
  SweepBench(const SweepSubject& subject, const Config& base, int threads);

  std::int64_t images() const { return subject_.evaluation.count(); }
  bool has_labels() const { return !subject_.evaluation.labels.empty() && logits_; }
  bool has_classes() const { return logits_; }
  // Of sequences of tokens whose logits the program gives; else has_bits is false.
  bool has_bits() const { return next_logits_; }
  double float_bits_per_token() const { return float_bits_; }
  // What goes in, labels included, with the faults that are planted in it.
  Identity InputsIdentity() const;

  // Calibrates with one thread and runs every image. A configuration that cannot be lowered gives a
  // result that says why. May be called from several threads at once.
  SweepResult Try(const Config& config) const;

 private:
  Bundle Lower(const Config& config, int threads) const;
  TensorMap ProgramInputs(const Bundle& bundle, std::size_t image) const;

  SweepSubject subject_;
  double BitsPerToken(double bits) const;
  std::span<const std::int32_t> NextOf(std::size_t sequence) const;

  bool logits_ = false;       // of images
  bool next_logits_ = false;  // of tokens
  double float_bits_ = 0;
  std::vector<std::string> outputs_;                        // what nothing in the program reads
  std::vector<std::map<std::string, FloatTensor>> floats_;  // by image
};

}  // namespace qsim::sweep
