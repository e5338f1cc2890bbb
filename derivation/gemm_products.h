// The batteries of matrix products: section 3, by accumulator policy and by mode of the left
// operand.
#pragma once

#include "derivation/comparison.h"

namespace qsim::derivation {

void CompareGemmError(Comparison& comparison);
void CompareGemmWrap(Comparison& comparison);
void CompareGemmSaturate(Comparison& comparison);
void CompareGemmShiftMode(Comparison& comparison);

}  // namespace qsim::derivation
