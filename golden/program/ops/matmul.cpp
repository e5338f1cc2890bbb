#include "golden/program/ops/matmul.h"

#include <span>
#include <utility>

#include "golden/ops/one_or_each.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"
#include "golden/program/ops/matrix_views.h"

namespace qsim {

void MatmulOp::Check(const Checker& checker) const {
  checker.RequireNarrow(lhs);
  checker.Require(checker.Tensor(rhs).dtype == DType::kInt8, "'" + rhs + "' must be int8");
  const Shape& right = checker.Tensor(rhs).shape;
  checker.Require(right.size() == 2 && heads >= 1 && right[1] % heads == 0,
                  "heads must divide channels");
  const std::int64_t tokens = right[0];
  const Shape scores = {heads, tokens, tokens};
  checker.RequireShape(lhs, transpose_rhs ? right : scores);
  checker.RequireShape(output, transpose_rhs ? scores : right);
  checker.Require((transpose_rhs ? right[1] / heads : tokens) <= kMaxDepth,
                  "contraction is too long");
  checker.RequireCount(lhs_zero.size(), heads, "lhs_zero");
  checker.RequireCount(rhs_zero.size(), transpose_rhs ? heads : right[1], "rhs_zero");
  checker.RequireWithin(lhs_zero, -128, 255, "lhs_zero");
  checker.RequireWithin(rhs_zero, -128, 127, "rhs_zero");
  if (mode == OperandMode::kShift) {
    const TensorInfo& left = checker.Tensor(lhs);
    checker.Require(left.dtype == DType::kUint8 && left.range.qmax <= 16,
                    "shift mode needs codes 0..16");
    checker.RequireWithin(lhs_zero, 0, 0, "lhs_zero");
  }
  checker.RequireAccumulator(acc, output);
  checker.RequireFits(ProveAccumulator(checker.program(), *this));
}

std::string MatmulOp::Formula(const Program& program) const {
  std::string text = std::to_string(heads) + (heads == 1 ? " head of " : " heads of ") +
                     std::to_string(program.Tensor(rhs).shape.back() / heads) +
                     " columns each; y[h][i][j] = sum_k ";
  if (mode == OperandMode::kShift)
    return text + "(b[h][k][j] - rhs_zero) << (15 - a[h][i][k]); a = 16 adds 0";
  return text + "(a[h][i][k] - lhs_zero) " +
         (transpose_rhs ? "(b[h][j][k] - rhs_zero)" : "(b[h][k][j] - rhs_zero)");
}

void MatmulOp::Run(OperationRun& run) const {
  const IntTensor& left = run.Value(lhs);
  const IntTensor& right = run.Value(rhs);
  const std::vector<std::int8_t>& right_values = right.As<std::int8_t>();
  const std::int64_t tokens = right.shape()[0];
  const std::int64_t channels = right.shape()[1];
  const std::int64_t head_dim = channels / heads;
  IntTensor out(DType::kInt32, run.Info(output).shape);
  std::int32_t* out_values = out.As<std::int32_t>().data();
  AccRange* seen = run.Tracked(output);
  for (std::int64_t h = 0; h < heads; ++h) {
    const auto head = static_cast<std::size_t>(h);
    GemmParams params;
    params.mode = mode;
    params.acc = acc;
    params.lhs_zero = EntryFor(lhs_zero, head);
    const std::span<const std::int32_t> zeros = rhs_zero;
    const OpId id = run.Id(output, h);
    const auto rhs_head = ViewOf(right_values, h * head_dim, tokens, head_dim, channels);
    if (transpose_rhs) {
      params.rhs_zero = zeros.size() == 1 ? zeros : zeros.subspan(head, 1);
      run.backend().Gemm(id, LhsViewOf(left, h * head_dim, tokens, head_dim, channels),
                         Transposed(rhs_head), params,
                         {out_values + h * tokens * tokens, tokens, tokens, tokens, 1}, seen);
    } else {
      const auto dim = static_cast<std::size_t>(head_dim);
      params.rhs_zero = zeros.size() == 1 ? zeros : zeros.subspan(head * dim, dim);
      run.backend().Gemm(id, LhsViewOf(left, h * tokens * tokens, tokens, tokens, tokens), rhs_head,
                         params, {out_values + h * head_dim, tokens, head_dim, channels, 1}, seen);
    }
  }
  run.Store(output, std::move(out));
}

}  // namespace qsim
