// The grids of what recurrences read and keep. docs/numerics.md section 17.
#pragma once

#include <vector>

#include "sim/calibrate/plan/plan.h"
#include "sim/semantics/activation.h"
#include "sim/semantics/quantization.h"

namespace qsim::calibrate {

// Of decays: codes c that stand for (c + 1) / 2^bits: of a state that is kept, all of it.
Activation FractionsGrid(const NodePlan& decay);

// Of a state, from what was seen of each head: a power of two. A longer sequence than those of the
// calibration may need more than was seen: so much is kept free.
Activation StateGrid(const NodePlan& state, const std::vector<RealRange>& seen,
                     const Activation& key, const Activation& value);

}  // namespace qsim::calibrate
