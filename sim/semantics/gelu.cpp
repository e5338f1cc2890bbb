#include "sim/semantics/elementary.h"
#include "sim/semantics/exact.h"

namespace qsim {

Reals Exact(const GeluOp& op, const ExactOperands& in) {
  Reals out = in.tensor(op.input).Doubles();
  for (double& v : out) v = Gelu(v);
  return out;
}

}  // namespace qsim
