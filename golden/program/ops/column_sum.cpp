#include "golden/program/ops/column_sum.h"

#include "golden/ops/column_sum.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void ColumnSumOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(BitsOf(in.dtype) <= 16, "input must be 16 bits or narrower");
  checker.Require(in.shape.size() == 2, "needs [rows, columns]");
  checker.Require(first >= 0 && first < in.shape[0], "first is " + std::to_string(first) +
                                                         ", must be a row of the input's " +
                                                         std::to_string(in.shape[0]));
  checker.RequireShape(output, {1, in.shape[1]});
  checker.RequireCount(input_zero.size(), in.shape[1], "input_zero");
  checker.RequireWithin(input_zero, -kMaxZero, kMaxZero, "input_zero");
  const std::int64_t rows = in.shape[0] - first;
  for (const std::int64_t zero : input_zero) {
    checker.Require(out.dtype == DType::kInt32 && rows * (in.range.qmin - zero) >= out.range.qmin &&
                        rows * (in.range.qmax - zero) <= out.range.qmax,
                    "a sum can leave the output's range");
  }
}

std::string ColumnSumOp::Formula(const Program& program) const {
  const std::string from = first == 0 ? "" : " + " + std::to_string(first);
  return "y[i][j] = sum_k (x[k" + from + "][j] - input_zero), k < " +
         std::to_string(program.Tensor(input).shape[0] - first);
}

void ColumnSumOp::Run(OperationRun& run) const {
  std::vector<std::int32_t> sums(static_cast<std::size_t>(run.Info(output).shape[1]));
  ColumnSum(run.Wide(input), first, input_zero, sums);
  run.Store(output, sums);
}

}  // namespace qsim::golden
