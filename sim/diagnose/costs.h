// What a network loses although nothing in it is broken: kinds of tensors whose grid does not suit
// what they hold, and the settings that mend it, each of them tried. docs/diagnose.md.
#pragma once

#include <string>
#include <vector>

#include "sim/diagnose/diagnosis.h"

namespace qsim::diagnose {

// The one that gains most comes first; each of the others is looked for in the network that the
// setting before it has left. `subject` has runs.
std::vector<Cost> FindCosts(const DiagnosisSubject& subject, const DiagnoseOptions& options);

}  // namespace qsim::diagnose
