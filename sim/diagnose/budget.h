// Where the output's noise comes from: causes replaced by their exact version, one after the other.
#pragma once

#include <string>
#include <vector>

#include "sim/diagnose/base_runs.h"
#include "sim/diagnose/output_power.h"

namespace qsim::diagnose {

// Noise is relative to the signal: OutputPower::Ratio().
struct LossEntry {
  std::string cause;           // "integer weights", "softmax approximation", ...
  double noise = 0;            // what the replacement in order takes away; may be negative
  double first = 0;            // the same when it is the first to be replaced
  double last = 0;             // the same when it is the last: the noise of this cause alone
  OutputPower after;           // the output once it is replaced, in order
  bool approximation = false;  // of a function, by an algorithm that was chosen
  bool clipping = false;
};

// The entries and the remainder add up to the total by construction.
struct LossBudget {
  OutputPower total;
  // In the order in which they are replaced: the large ones first, so that the small ones are
  // measured in a network that has little other noise.
  std::vector<LossEntry> entries;
  double remainder = 0;  // the fully exact network against float: next to nothing
};

LossBudget MeasureBudget(const BaseRuns& runs, const ModelInputs& inputs, int threads);

}  // namespace qsim::diagnose
