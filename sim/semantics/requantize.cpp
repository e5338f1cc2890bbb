#include "sim/semantics/exact.h"

namespace qsim {

Reals Exact(const RequantizeOp& op, const ExactOperands& in) {
  const Program& program = in.bundle.program;
  const std::int64_t width = program.Tensor(op.output).shape.back();
  const std::int64_t in_width = program.Tensor(op.input).shape.back();
  const Reals x = in.tensor(op.input).Doubles();
  if (width == in_width) return x;
  Reals out;
  for (auto row = x.begin(); row != x.end(); row += in_width) {
    out.insert(out.end(), row + op.first_column, row + op.first_column + width);
  }
  return out;
}

}  // namespace qsim
