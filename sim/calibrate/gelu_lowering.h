// The constants of each GELU for a real input scale. docs/numerics.md section 7.
#pragma once

#include "golden/program/program.h"

namespace qsim {

// Sets the constants that op.kind uses (any kind but table) for inputs s (q - op.input_zero), and
// returns the real scale of the algorithm's wide result y; negative for ibert and ita.
double SetGeluConstants(double s, GeluOp& op);

}  // namespace qsim
