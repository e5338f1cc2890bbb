// Whether the softmax of every attention can take the scales that its scores need: said of all
// places at once, and as early as the ranges allow.
#pragma once

#include <cstddef>

#include "sim/bundle/grids_file.h"
#include "sim/calibrate/observe/observations.h"
#include "sim/calibrate/plan/plan.h"

namespace qsim::calibrate {

// The softmax that reads a product's scores; null for any other node.
const NodePlan* SoftmaxOf(const Plan& plan, const NodePlan& scores);

// Throws InputError that names the scores whose scale no softmax of the plan's kind can take, and
// the settings that would. Grids that `given` (may be null) has are not asked. `growing`: only of
// ranges that more inputs can but widen, so that what fails already will fail.
void RequireScores(const Plan& plan, const Observations& observations, const GridsFile* given,
                   bool growing = false);

}  // namespace qsim::calibrate
