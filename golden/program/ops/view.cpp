#include "golden/program/ops/view.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

StridedView Strided(const ViewOp& op, const TensorInfo& out) {
  return {op.offset, op.extents.empty() ? out.shape : op.extents, op.strides};
}

}  // namespace

void ViewOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.RequireSameCodes(input, output);
  // Then strides do not depend on it.
  checker.Require(in.length_axes.empty() || in.length_axes == Shape{0},
                  "a run-time length must be the first axis of the input");
  const StridedView view = Strided(*this, out);
  checker.RequireLegal([&] { CheckView(view, ElementCount(in.shape)); });
  checker.Require(
      ElementCount({view.extents.begin(), view.extents.end()}) == ElementCount(out.shape),
      "'" + output + "' has the wrong shape");
}

std::string ViewOp::Formula(const Program& program) const {
  const StridedView view = Strided(*this, program.Tensor(output));
  std::string index = std::to_string(offset), limits;
  for (std::size_t j = 0; j < view.extents.size(); ++j) {
    const std::string name = "i" + std::to_string(j);
    index += " + " + std::to_string(view.strides[j]) + " " + name;
    limits += ", " + name + " < " + std::to_string(view.extents[j]);
  }
  return "y in order = x[" + index + "]" + limits;
}

void ViewOp::Run(OperationRun& run) const {
  run.StoreView(output, input, Strided(*this, run.Info(output)));
}

}  // namespace qsim::golden
