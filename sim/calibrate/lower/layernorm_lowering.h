// The constants of a layer norm, between two stated grids. docs/numerics.md section 6.
#pragma once

#include "sim/calibrate/lower/activation.h"
#include "sim/calibrate/lower/program_builder.h"
#include "sim/calibrate/plan/plan.h"

namespace qsim {

// Throws InputError where the algorithm cannot take the input's scales.
LayernormOp DeriveLayernorm(const network::Norm& norm, const NodePlan& plan,
                            const Activation& input, const Activation& out,
                            ProgramBuilder& builder);

}  // namespace qsim
