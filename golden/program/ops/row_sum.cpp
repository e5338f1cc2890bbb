#include "golden/program/ops/row_sum.h"

#include "golden/ops/row_divide.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void RowSumOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.RequireNarrow(input);
  checker.Require(in.shape.size() == 3, "needs [heads, rows, columns]");
  checker.RequireShape(output, {in.shape[0], in.shape[1], 1});
  const bool shift = mode == OperandMode::kShift;
  checker.Require(!shift || (in.dtype == DType::kUint8 && in.range.qmax <= 16),
                  "shift mode needs codes 0..16");
  const std::int64_t lowest = shift ? 0 : in.range.qmin;
  const std::int64_t highest = shift ? 1 << 15 : in.range.qmax;
  checker.Require(out.dtype == DType::kInt32 && in.shape[2] * lowest >= out.range.qmin &&
                      in.shape[2] * highest <= out.range.qmax,
                  "a sum can leave the output's range");
}

void RowSumOp::Run(OperationRun& run) const {
  std::vector<std::int32_t> sums(static_cast<std::size_t>(ElementCount(run.Info(output).shape)));
  RowSum(run.Wide(input), run.Info(input).shape.back(), mode, sums);
  run.Store(output, sums);
}

}  // namespace qsim::golden
