// A diagnosis for machines, and for report.html.
#pragma once

#include <string>

#include "sim/diagnose/diagnosis.h"
#include "sim/run/diagnosis_page.h"

namespace qsim::diagnose {

// Everything that DiagnosisText prints with --verbose. Infinite QSNR: null.
std::string DiagnosisJsonText(const Diagnosis& diagnosis);

DiagnosisPage PageOf(const Diagnosis& diagnosis);

}  // namespace qsim::diagnose
