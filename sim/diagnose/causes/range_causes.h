// Grids: the range and the step that a tensor's scale gives it, beside the float values that it has
// to hold.
#pragma once

#include <vector>

#include "sim/diagnose/causes/probe.h"
#include "sim/diagnose/causes/suspect.h"

namespace qsim::diagnose {

// Runs the calibration inputs through the float network where there are any and something is
// suspicious.
std::vector<Suspect> RangeCauses(const DiagnosisSubject& subject, const Probe& probe,
                                 const SharedRederivation& rederivation, int threads);

}  // namespace qsim::diagnose
