// The integers of a recurrence between stated grids. docs/numerics.md section 17.
#pragma once

#include <string>

#include "golden/program/ops/recurrence.h"
#include "sim/config/section.h"
#include "sim/network/network.h"
#include "sim/semantics/activation.h"

namespace qsim::semantics {

// The grids of what updates a state, and its own.
struct GatedGrids {
  const Activation &key, &value, &decay, &state;
};

// `past`: what the state is carried to. Both throw InputError where a ratio of scales has no
// multiplier, or a chunk's sums no room.
RecurrenceStateOp DeriveFinalState(const network::FinalState& final, const Numerics& numerics,
                                   const Hardware& hardware, const GatedGrids& grids,
                                   const std::string& past);
RecurrenceOp DeriveRecurrence(const network::Recurrence& recurrence, const Numerics& numerics,
                              const Hardware& hardware, const Activation& query,
                              const GatedGrids& grids, const Activation& out);

}  // namespace qsim::semantics
