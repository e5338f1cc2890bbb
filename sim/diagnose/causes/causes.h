// Why an operation behaves unlike what it stands for. The float model says what every operation
// should do; hypotheses about what it does instead are fitted to its integers and to the data, and
// the one that explains them is named. docs/causes.md.
#pragma once

#include <vector>

#include "sim/diagnose/finding.h"

namespace qsim::diagnose {

// The suspicions of a subject, the most damaging first; none for a healthy one. Does not depend on
// the number of threads. Throws InputError where the bundle is of another model.
std::vector<Suspicion> RecogniseCauses(const DiagnosisSubject& subject, int threads);

}  // namespace qsim::diagnose
