// The first phase of lowering: a grid for every tensor that has one, from what was observed and
// from what the operations around it ask. docs/architecture.md, "What a granularity means in
// integers".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/bundle/grids_file.h"
#include "sim/calibrate/observe/calibration.h"
#include "sim/calibrate/observe/observations.h"
#include "sim/calibrate/plan/plan.h"
#include "sim/semantics/activation.h"

namespace qsim::calibrate {

using Grids = std::map<std::string, Activation>;  // by tensor, weights and accumulators too

// In the network's order, activations before weights; where two grids depend on each other, the
// node says which gives way. Notes are appended. Throws InputError naming tensor and section for a
// request that no grid can satisfy. `given`: grids that are taken as they are; may be null.
Grids ChooseGrids(const Plan& plan, const Observations& observations, const InputSource& source,
                  Realise realise, const GridsFile* given, std::vector<LoweringNote>& notes);

}  // namespace qsim::calibrate
