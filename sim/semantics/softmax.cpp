#include "sim/semantics/exact.h"
#include "sim/semantics/float_nodes.h"

namespace qsim {

Reals Exact(const SoftmaxOp& op, const ExactOperands& in) {
  const FloatTensor& scores = in.tensor(op.input).real();
  const auto row = static_cast<std::size_t>(scores.shape.back());
  std::vector<float> out(scores.data.size());
  for (std::size_t i = 0; i < out.size(); i += row) {
    FloatSoftmaxRow({scores.data.data() + i, row}, {out.data() + i, row});
  }
  return {out.begin(), out.end()};
}

}  // namespace qsim
