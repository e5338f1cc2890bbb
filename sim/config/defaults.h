// The vocabulary where a configuration is loaded without one, and what a tensor gets when it says
// nothing. docs/formats.md has the same table.
#pragma once

#include "sim/config/sections.h"

namespace qsim::config {

// The vision transformer's.
const Sections& VitSections();

}  // namespace qsim::config
