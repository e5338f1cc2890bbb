// Which tensors of a run are profiled, as options and configuration ask for it.
#pragma once

#include "golden/program/program.h"
#include "sim/config/config.h"
#include "sim/run/run_profiler.h"

namespace qsim::run {

// `everything`: every tensor, with time and memory. Otherwise those whose section says
// enable_profiler: True. `config` is null for a bundle that came without one, and must outlive the
// request.
ProfileRequest RequestProfile(const Config* config, bool everything);

// Whether any tensor of the program is asked for.
bool AnyRequested(const ProfileRequest& request, const Program& program);

}  // namespace qsim::run
