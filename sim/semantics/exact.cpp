#include "sim/semantics/exact.h"

#include "sim/error.h"

namespace qsim {

Reals Exact(const PatchifyOp& op, const ExactOperands&) {
  throw InternalError("'" + op.output + "' has no real numbers");
}

Reals Exact(const AddOp& op, const ExactOperands&) {
  throw InternalError("'" + op.output + "' has no real numbers");
}

}  // namespace qsim
