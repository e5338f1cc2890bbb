#include "golden/program/ops/add.h"

#include <algorithm>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void AddOp::Check(const Checker& checker) const {
  const TensorInfo& first = checker.Tensor(a);
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(b.empty() != bias.empty(), "adds either a tensor or a bias");
  checker.RequireShape(output, first.shape);
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
  if (b.empty()) {
    const IntTensor& values = checker.program().Constant(bias);
    checker.Require(values.dtype() == DType::kInt32 && values.shape() == Shape{first.shape.back()},
                    "bias must be int32 [C]");
    const auto [least, most] =
        std::minmax_element(values.As<std::int32_t>().begin(), values.As<std::int32_t>().end());
    lowest = *least;
    highest = *most;
  } else {
    checker.RequireShape(b, first.shape);
    lowest = checker.Tensor(b).range.qmin;
    highest = checker.Tensor(b).range.qmax;
  }
  checker.Require(
      lowest + first.range.qmin >= out.range.qmin && highest + first.range.qmax <= out.range.qmax,
      "a sum can leave the output's range");
}

void AddOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> first = run.Wide(a);
  std::vector<std::int32_t> out(first.size());
  Add(first, b.empty() ? run.WideConstant(bias) : run.Wide(b), out);
  run.Store(output, out);
}

}  // namespace qsim::golden
