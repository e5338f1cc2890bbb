// A conformance run as text and as JSON.
#pragma once

#include <string>

#include "sim/conform/conform_run.h"

namespace qsim::conform {

// A table of at most 80 columns by op and algorithm, first mismatches, and a last line with the
// verdict.
std::string FormatConform(const ConformReport& report);
std::string ConformJsonText(const ConformReport& report);

}  // namespace qsim::conform
