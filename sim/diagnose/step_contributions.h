// What each step does to the network's output, by experiment.
#pragma once

#include <string>
#include <vector>

#include "sim/diagnose/base_runs.h"
#include "sim/diagnose/output_power.h"
#include "sim/diagnose/steps.h"
#include "sim/semantics/mixed.h"

namespace qsim::diagnose {

struct StepContribution {
  std::string tensor;
  OutputPower alone;       // this step's own error, carried by the float network
  OutputPower without;     // the integer network with this step exact
  OutputPower cumulative;  // this step and all before it integer, the rest float
};

// The effects of `steps`, which are in order; others stay as they are in each network.
std::vector<StepContribution> MeasureContributions(const BaseRuns& runs, const ModelInputs& inputs,
                                                   const std::vector<Step>& steps, int threads);

}  // namespace qsim::diagnose
