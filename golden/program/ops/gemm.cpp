#include "golden/program/ops/gemm.h"

#include <utility>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"
#include "golden/program/ops/matrix_views.h"

namespace qsim::golden {

void GemmOp::Check(const Checker& checker) const {
  checker.RequireNarrow(input);
  const IntTensor& w = checker.program().Constant(weight);
  checker.Require(w.dtype() == DType::kInt8 && w.shape().size() == 2, "weight must be int8 [N, K]");
  const std::int64_t channels = w.shape()[0];
  const std::int64_t depth = w.shape()[1];
  checker.Require(depth <= kMaxDepth && channels <= kMaxChannels, "weight is too large");
  const Shape& in = checker.Tensor(input).shape;
  checker.Require(in.size() == 2 && in[1] == depth, "weight and input do not fit");
  checker.Require(rows >= 0 && rows <= in[0], "rows is " + std::to_string(rows) +
                                                  ", must be 0 (all) or up to the input's " +
                                                  std::to_string(in[0]));
  checker.Require(first_row >= 0 && first_row <= (rows == 0 ? 0 : in[0] - rows),
                  "first_row is " + std::to_string(first_row) + ", must be in 0.." +
                      std::to_string(rows == 0 ? 0 : in[0] - rows));
  checker.RequireShape(output, {rows == 0 ? in[0] : rows, channels});
  const IntTensor& b = checker.program().Constant(bias);
  checker.Require(b.dtype() == DType::kInt32 && b.shape() == Shape{channels},
                  "bias must be int32 [N]");
  if (!weight_zero.empty()) checker.RequireCount(weight_zero.size(), channels, "weight_zero");
  checker.RequireWithin(weight_zero, -128, 127, "weight_zero");
  checker.RequireAccumulator(acc, output);
  checker.RequireFits(ProveAccumulator(checker.program(), *this));
}

std::string GemmOp::Formula(const Program& program) const {
  const Shape& shape = program.Constant(weight).shape();
  return "y[t][n] = bias[n] + sum_k x[t" +
         (first_row == 0 ? "" : " + " + std::to_string(first_row)) +
         "][k] (weight[n][k] - weight_zero), n < " + std::to_string(shape[0]) + ", k < " +
         std::to_string(shape[1]) +
         (rows == 0 ? "" : "\nt < " + std::to_string(rows) + ": these rows only");
}

ProductOperands GemmOp::Operands(const OperationRun& run) const {
  const IntTensor& in = run.Value(input);
  const IntTensor& w = run.Constant(weight);
  const std::int64_t depth = w.shape()[1];
  ProductOperands product{
      .lhs = LhsViewOf(in, first_row * depth, rows == 0 ? in.shape()[0] : rows, depth, depth),
      .rhs = Transposed(ViewOf(w.As<std::int8_t>(), 0, w.shape()[0], depth, depth)),
      .params = {}};
  product.params.bias = run.Constant(bias).As<std::int32_t>();
  product.params.rhs_zero = weight_zero;
  product.params.acc = acc;
  return product;
}

void GemmOp::Run(OperationRun& run) const {
  const ProductOperands product = Operands(run);
  IntTensor out(DType::kInt32, run.Info(output).shape);
  const std::int64_t m = out.shape()[0], cols = out.shape()[1];
  run.backend().Gemm(run.Id(output), product.lhs, product.rhs, product.params,
                     {out.As<std::int32_t>().data(), m, cols, cols, 1}, run.Tracked(output));
  run.Store(output, std::move(out));
}

}  // namespace qsim::golden
