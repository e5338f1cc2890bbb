// What a sequence begins with.
#pragma once

#include <vector>

#include "sim/diagnose/causes/suspect.h"

namespace qsim::diagnose {

// States that are not zero where a sequence begins, as those of the model are.
std::vector<Suspect> StateCauses(const DiagnosisSubject& subject);

}  // namespace qsim::diagnose
