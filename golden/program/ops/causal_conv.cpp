#include "golden/program/ops/causal_conv.h"

#include <algorithm>
#include <span>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"
#include "golden/program/ops/matrix_views.h"

namespace qsim::golden {

void CausalConvOp::Check(const Checker& checker) const {
  checker.RequireNarrow(input);
  checker.RequireSameCodes(input, past);
  const Shape& in = checker.Tensor(input).shape;
  checker.Require(in.size() == 2, "needs [rows, channels]");
  const IntTensor& w = checker.program().Constant(weight);
  checker.Require(w.dtype() == DType::kInt8 && w.shape().size() == 2 && w.shape()[0] == in[1],
                  "weight must be int8 [channels, taps]");
  const std::int64_t taps = w.shape()[1];
  checker.Require(taps >= 2 && taps <= kMaxDepth && in[1] <= kMaxChannels,
                  "needs 2.." + std::to_string(kMaxDepth) + " taps, and at most " +
                      std::to_string(kMaxChannels) + " channels");
  checker.RequireShape(past, {taps - 1, in[1]});
  checker.RequireShape(output, in);
  const IntTensor& b = checker.program().Constant(bias);
  checker.Require(b.dtype() == DType::kInt32 && b.shape() == Shape{in[1]},
                  "bias must be int32 [channels]");
  if (!weight_zero.empty()) checker.RequireCount(weight_zero.size(), in[1], "weight_zero");
  checker.RequireWithin(weight_zero, -128, 127, "weight_zero");
  checker.RequireAccumulator(acc, output);
  checker.RequireFits(ProveAccumulator(checker.program(), *this));
}

std::string CausalConvOp::Formula(const Program& program) const {
  const std::int64_t taps = program.Constant(weight).shape()[1];
  return "y[t][c] = bias[c] + sum_j x[t - " + std::to_string(taps - 1) +
         " + j][c] (weight[c][j] - weight_zero), j < " + std::to_string(taps) +
         "; x[-1], x[-2], ...: the rows of past, from the last one";
}

IntTensor CausalConvOp::Rows(const OperationRun& run) const {
  IntTensor rows = run.Value(past);
  std::visit(
      [&]<typename T>(std::vector<T>& values) {
        const std::vector<T>& more = run.Value(input).As<T>();
        values.insert(values.end(), more.begin(), more.end());
      },
      rows.storage());
  return rows;
}

ProductOperands CausalConvOp::Operands(const OperationRun& run, const IntTensor& rows,
                                       std::int64_t channel) const {
  const IntTensor& w = run.Constant(weight);
  const std::int64_t channels = w.shape()[0], taps = w.shape()[1];
  const std::int64_t windows = rows.size() / channels - taps + 1;
  // Windows overlap: the next one begins a row below.
  ProductOperands product{
      .lhs = LhsViewOf(rows, channel, windows, taps, channels),
      .rhs = Transposed(ViewOf(w.As<std::int8_t>(), channel * taps, 1, taps, taps)),
      .params = {}};
  std::visit([&](auto& view) { view.col_stride = channels; }, product.lhs);
  const auto c = static_cast<std::size_t>(channel);
  product.params.bias = std::span(run.Constant(bias).As<std::int32_t>()).subspan(c, 1);
  product.params.rhs_zero = weight_zero;
  if (weight_zero.size() > 1) product.params.rhs_zero = product.params.rhs_zero.subspan(c, 1);
  product.params.acc = acc;
  return product;
}

void CausalConvOp::Run(OperationRun& run) const {
  const IntTensor rows = Rows(run);
  IntTensor out(DType::kInt32, run.Info(output).shape);
  const std::int64_t channels = out.shape()[1];
  for (std::int64_t c = 0; c < channels; ++c) {
    const ProductOperands product = Operands(run, rows, c);
    run.backend().Gemm(run.Id(output, c), product.lhs, product.rhs, product.params,
                       {out.As<std::int32_t>().data() + c, out.shape()[0], 1, channels, 1},
                       run.Tracked(output));
  }
  run.Store(output, std::move(out));
}

}  // namespace qsim::golden
