// What the results of a command depend on beside its own options, for files that outlive it.
#pragma once

#include "sim/cli/model_options.h"
#include "sim/io/files/identity.h"

namespace qsim::cli {

// The version of qsim, the weights, all that says how they are used, and the faults planted.
Identity ModelIdentity(const ModelOptions& options, const LoadedModel& loaded);

}  // namespace qsim::cli
