// From suspicions to findings: every repair is tried, and what does not help is no culprit.
#pragma once

#include <vector>

#include "sim/diagnose/diagnosis.h"

namespace qsim::diagnose {

// Looks for a culprit, repairs it, and looks again. `healed` is what is left to lose behind the
// last repair. `measured` is that of the subject.
std::vector<Culprit> FindCulprits(const DiagnosisSubject& subject, const Measurement& measured,
                                  const DiagnoseOptions& options, double* repaired_db);

}  // namespace qsim::diagnose
