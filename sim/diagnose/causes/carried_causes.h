// Causes in what a sequence carries from step to step: what it begins with, states that saturate,
// decays that forget nothing.
#pragma once

#include <vector>

#include "sim/diagnose/causes/probe.h"
#include "sim/diagnose/causes/suspect.h"

namespace qsim::diagnose {

std::vector<Suspect> CarriedCauses(const DiagnosisSubject& subject, const Probe& probe,
                                   const SharedRederivation& rederivation);

}  // namespace qsim::diagnose
