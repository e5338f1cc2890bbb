// A run's profile as the text a person reads on a terminal.
#pragma once

#include <string>

#include "sim/run/run_profile.h"

namespace qsim::report {

// A table of the requested taps, one of the requested weights, and one of the operations' time and
// memory where they were measured; "" where nothing was requested. At most 80 columns wide.
std::string FormatProfile(const RunProfile& profile, bool color);

}  // namespace qsim::report
