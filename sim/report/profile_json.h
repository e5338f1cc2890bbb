// A run's profile for machines: the key `profile` of report.json. docs/outputs.md.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "sim/run/run_profile.h"

namespace qsim::report {

// The requested tensors, with keys in a fixed order. Where time was not measured, `operations` is
// empty and `peak_memory_bytes` null.
nlohmann::ordered_json ProfileJson(const RunProfile& profile);

}  // namespace qsim::report
