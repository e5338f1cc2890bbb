#include "golden/program/ops/matmul.h"

#include <span>
#include <utility>

#include "golden/ops/one_or_each.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"
#include "golden/program/ops/matrix_views.h"

namespace qsim::golden {

std::optional<Matrices> MatricesOf(const Shape& shape, int heads) {
  if (shape.size() == 2) {
    const std::int64_t cols = shape[1] / heads;
    if (cols * heads != shape[1]) return std::nullopt;
    return Matrices{shape[0], cols, shape[1], cols};
  }
  if (shape.size() < 3) return std::nullopt;
  const std::int64_t rows = shape[shape.size() - 2], cols = shape.back();
  const std::int64_t held = ElementCount(shape) / (rows * cols);
  if (held != 1 && held != heads) return std::nullopt;
  return Matrices{rows, cols, cols, held == 1 ? 0 : rows * cols};
}

void MatmulOp::Check(const Checker& checker) const {
  checker.RequireNarrow(lhs);
  checker.Require(rhs.empty() != weight.empty(), "multiplies either a tensor or a weight");
  const std::string& second = rhs.empty() ? weight : rhs;
  const DType right_type =
      rhs.empty() ? checker.program().Constant(weight).dtype() : checker.Tensor(rhs).dtype;
  checker.Require(right_type == DType::kInt8, "'" + second + "' must be int8");
  const auto of = [&](const std::string& name, const Shape& shape) {
    const std::optional<Matrices> held =
        heads >= 1 ? MatricesOf(shape, heads) : std::optional<Matrices>();
    checker.Require(held.has_value(), shape.size() == 2 ? "heads must divide channels"
                                                        : "'" + name + "' has the wrong shape");
    return *held;
  };
  const Matrices left = of(lhs, checker.Tensor(lhs).shape),
                 right = of(second, RightShape(checker.program())),
                 out = of(output, checker.Tensor(output).shape);
  const std::int64_t depth = transpose_rhs ? right.cols : right.rows;
  const std::int64_t columns = transpose_rhs ? right.rows : right.cols;
  checker.Require(left.cols == depth, "'" + lhs + "' has the wrong shape");
  checker.Require(out.rows == left.rows && out.cols == columns && (heads == 1 || out.next != 0),
                  "'" + output + "' has the wrong shape");
  checker.Require(depth <= kMaxDepth, "contraction is too long");
  checker.RequireCount(lhs_zero.size(), heads, "lhs_zero");
  checker.RequireCount(rhs_zero.size(), transpose_rhs ? heads : heads * columns, "rhs_zero");
  checker.RequireWithin(lhs_zero, -128, 255, "lhs_zero");
  checker.RequireWithin(rhs_zero, -128, 127, "rhs_zero");
  if (mode == OperandMode::kShift) {
    checker.Require(
        checker.Tensor(lhs).dtype == DType::kUint8 && checker.Tensor(lhs).range.qmax <= 16,
        "shift mode needs codes 0..16");
    checker.RequireWithin(lhs_zero, 0, 0, "lhs_zero");
  }
  checker.RequireAccumulator(acc, output);
  checker.RequireFits(ProveAccumulator(checker.program(), *this));
}

const Shape& MatmulOp::RightShape(const Program& program) const {
  return rhs.empty() ? program.Constant(weight).shape() : program.Tensor(rhs).shape;
}

std::string MatmulOp::Formula(const Program& program) const {
  const std::string b = rhs.empty() ? "weight" : "b";
  std::string text = std::to_string(heads) + (heads == 1 ? " head of " : " heads of ") +
                     std::to_string(MatricesOf(RightShape(program), heads)->cols) +
                     " columns each; y[h][i][j] = sum_k ";
  if (mode == OperandMode::kShift)
    return text + "(" + b + "[h][k][j] - rhs_zero) << (15 - a[h][i][k]); a = 16 adds 0";
  return text + "(a[h][i][k] - lhs_zero) " + "(" + b + (transpose_rhs ? "[h][j][k]" : "[h][k][j]") +
         " - rhs_zero)";
}

ProductOperands MatmulOp::Operands(const OperationRun& run, std::int64_t head) const {
  const IntTensor& left = run.Value(lhs);
  const IntTensor& right = rhs.empty() ? run.Constant(weight) : run.Value(rhs);
  const Matrices a = *MatricesOf(left.shape(), heads), b = *MatricesOf(right.shape(), heads);
  const auto of_right =
      ViewOf(right.As<std::int8_t>(), head * b.next, b.rows, b.cols, b.row_stride);
  ProductOperands product{.lhs = LhsViewOf(left, head * a.next, a.rows, a.cols, a.row_stride),
                          .rhs = transpose_rhs ? Transposed(of_right) : of_right,
                          .params = {}};
  const std::span<const std::int32_t> zeros = rhs_zero;
  const auto at = static_cast<std::size_t>(head);
  const std::size_t of_head = transpose_rhs ? 1 : static_cast<std::size_t>(b.cols);
  product.params.mode = mode;
  product.params.acc = acc;
  product.params.lhs_zero = EntryFor(lhs_zero, at);
  product.params.rhs_zero = zeros.size() == 1 ? zeros : zeros.subspan(at * of_head, of_head);
  return product;
}

void MatmulOp::Run(OperationRun& run) const {
  IntTensor product(DType::kInt32, run.Info(output).shape);
  const Matrices y = *MatricesOf(product.shape(), heads);
  for (std::int64_t h = 0; h < heads; ++h) {
    const ProductOperands head = Operands(run, h);
    run.backend().Gemm(
        run.Id(output, h), head.lhs, head.rhs, head.params,
        {product.As<std::int32_t>().data() + h * y.next, y.rows, y.cols, y.row_stride, 1},
        run.Tracked(output));
  }
  run.Store(output, std::move(product));
}

}  // namespace qsim::golden
