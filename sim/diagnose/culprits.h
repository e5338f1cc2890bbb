// The culprits of a network: suspicions whose repairs are carried out, one behind the other, and
// what is left without a name. docs/diagnose.md, "What makes a culprit".
#pragma once

#include <vector>

#include "sim/diagnose/diagnosis.h"

namespace qsim::diagnose {

// Of what Diagnose has measured; writes `findings`, `repaired_db` and `by_chance`.
void FindCulprits(const DiagnosisSubject& subject, const DiagnoseOptions& options,
                  Diagnosis& diagnosis);

}  // namespace qsim::diagnose
