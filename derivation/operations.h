// A whole program against the second derivations of its operations.
#pragma once

#include "derivation/comparison.h"
#include "golden/program/operation_run.h"

namespace qsim::derivation {

// `values`: what the operation reads, and what the specification computed of it. False where there
// is no second derivation of whole tensors.
bool CompareOperation(Comparison& comparison, const Program& program, const Op& op,
                      const TensorMap& values);

}  // namespace qsim::derivation
