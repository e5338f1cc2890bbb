#include "golden/program/ops/row_divide.h"

#include <vector>

#include "golden/ops/row_divide.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"
#include "golden/program/ops/matmul.h"

namespace qsim::golden {

void RowDivideOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& by = checker.Tensor(divisor);
  checker.RequireShape(output, in.shape);
  checker.Require(by.shape.size() == 3 && by.shape[2] == 1,
                  "'" + divisor + "' must be [heads, rows, 1]");
  const auto held = MatricesOf(in.shape, static_cast<int>(by.shape[0]));
  checker.Require(
      held.has_value() && held->rows == by.shape[1] && (by.shape[0] == 1 || held->next != 0),
      "'" + input + "' has not the rows of '" + divisor + "'");
  checker.Require(checker.Tensor(output).dtype == DType::kInt32, "output must be int32");
  checker.RequireLegal([&] { RowReciprocal(1, fraction_bits, reciprocal_rounding); });
}

std::string RowDivideOp::Formula(const Program& program) const {
  const std::int64_t heads = program.Tensor(divisor).shape[0];
  const Matrices held = *MatricesOf(program.Tensor(input).shape, static_cast<int>(heads));
  return std::to_string(heads) + (heads == 1 ? " head of " : " heads of ") +
         std::to_string(held.cols) +
         " columns each; y[h][i][j] = clamp(rounding(a[h][i][j] r / 2^n), qmin, qmax)\n"
         "r = reciprocal_rounding(2^(n + fraction_bits) / d)\n"
         "n = ceil_log2(d); d = max(b[h][i][0], 1)";
}

std::vector<Multiplier> RowDivideOp::Reciprocals(const OperationRun& run) const {
  const std::vector<std::int32_t> divisors = run.Wide(divisor);
  const std::int64_t heads = run.Info(divisor).shape[0], rows = run.Info(divisor).shape[1];
  const bool planes = run.Info(output).shape.size() > 2;
  std::vector<Multiplier> reciprocals;
  for (std::int64_t i = 0; i < heads * rows; ++i) {
    const std::int64_t at = planes ? i : i % heads * rows + i / heads;
    reciprocals.push_back(
        RowReciprocal(divisors[static_cast<std::size_t>(at)], fraction_bits, reciprocal_rounding));
  }
  return reciprocals;
}

void RowDivideOp::Run(OperationRun& run) const {
  const TensorInfo info = run.Info(output);
  const std::vector<std::int32_t> in = run.Wide(input);
  const std::vector<Multiplier> scale = Reciprocals(run);
  const auto rows = static_cast<std::int64_t>(scale.size());
  const std::vector<std::int32_t> zero = {0};
  RequantizeParams params;
  params.layout = {1, rows, static_cast<std::int64_t>(in.size()) / rows};
  params.scale = scale;
  params.zero = zero;
  params.rounding = rounding;
  params.range = info.range;
  std::vector<std::int32_t> out(in.size());
  const std::int64_t saturated =
      run.backend().Requantize(run.Id(output), in, info.shape.back(), params, out);
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
