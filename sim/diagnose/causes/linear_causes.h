// Linear layers: what their codes amount to in place, with the scales that their neighbours apply,
// beside the float weights.
#pragma once

#include <vector>

#include "sim/diagnose/causes/probe.h"
#include "sim/diagnose/causes/suspect.h"

namespace qsim::diagnose {

std::vector<Suspect> LinearCauses(const DiagnosisSubject& subject, const Probe& probe,
                                  const SharedRederivation& rederivation);

}  // namespace qsim::diagnose
