// A configuration as a file of its own.
#pragma once

#include <string>

#include "sim/config/config.h"

namespace qsim::config {

// Every resolved value as YAML that Config::Load reads back to the same Canonical(): sections of
// all tensors, hardware and numerics, and below `blocks.N.` what differs in one of the model's
// `depth` blocks.
std::string ConfigYaml(const Config& config, int depth);

}  // namespace qsim::config
