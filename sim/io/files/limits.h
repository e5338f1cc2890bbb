// What readers take at most, so that a small file cannot cost a machine. docs/formats.md, "Limits".
#pragma once

#include <cstdint>

#include "sim/namespaces.h"

namespace qsim::io {

// By how much every limit below is raised: --limits. Set once, before anything is read.
void SetLimits(std::int64_t factor);
std::int64_t Raised(std::int64_t limit);

inline constexpr const char* kRaisedBy = "--limits N raises that N times";

}  // namespace qsim::io
