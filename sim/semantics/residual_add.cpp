#include "sim/semantics/exact.h"

namespace qsim {

Reals Exact(const ResidualAddOp& op, const ExactOperands& in) {
  Reals out = in.tensor(op.a).Doubles();
  const Reals b = in.tensor(op.b).Doubles();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += b[i];
  return out;
}

}  // namespace qsim
