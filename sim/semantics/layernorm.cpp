#include "sim/semantics/exact.h"
#include "sim/semantics/float_nodes.h"

namespace qsim {

Reals Exact(const LayernormOp& op, const ExactOperands& in) {
  const FloatTensor& x = in.tensor(op.input).real();
  return AsReals(FloatLayerNorm(*in.model.NormOf(op.output), x));
}

}  // namespace qsim
