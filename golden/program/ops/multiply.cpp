#include "golden/program/ops/multiply.h"

#include <algorithm>
#include <array>
#include <span>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

QuantRange CheckFactor(const Checker& checker, const MultiplyOp& op) {
  const IntTensor& values = checker.program().Constant(op.factor);
  checker.Require(
      values.shape() == Shape{checker.Tensor(op.a).shape.back()} && BitsOf(values.dtype()) <= 16,
      "factor must be 16 bits or narrower, one for each column");
  checker.Require(op.b_zero == 0, "a factor has no zero point");
  QuantRange range = {0, 0};
  for (std::int64_t c = 0; c < values.size(); ++c) {
    const auto value = static_cast<std::int32_t>(values.At(c));
    range = {std::min(range.qmin, value), std::max(range.qmax, value)};
  }
  return range;
}

QuantRange CheckTensor(const Checker& checker, const MultiplyOp& op) {
  const TensorInfo& right = checker.Tensor(op.b);
  Shape shape = checker.Tensor(op.a).shape;
  const std::int64_t columns = shape.back();
  shape.back() = right.shape.back();
  checker.RequireShape(op.b, shape);
  checker.Require(columns % shape.back() == 0,
                  "the columns of '" + op.b + "' must divide those of '" + op.a + "'");
  checker.Require(BitsOf(right.dtype) <= 16, "factors must be 16 bits or narrower");
  return right.range;
}

}  // namespace

void MultiplyOp::Check(const Checker& checker) const {
  const TensorInfo &left = checker.Tensor(a), &out = checker.Tensor(output);
  checker.Require(b.empty() != factor.empty(), "multiplies by either a tensor or a factor");
  const QuantRange right = b.empty() ? CheckFactor(checker, *this) : CheckTensor(checker, *this);
  checker.RequireShape(output, left.shape);
  checker.Require(BitsOf(left.dtype) <= 16, "factors must be 16 bits or narrower");
  checker.RequireWithin({a_zero, b_zero}, -kMaxZero, kMaxZero, "zero point");
  // A product of intervals has its extremes at their ends.
  std::array<std::int64_t, 4> ends = {};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    ends[i] = (std::int64_t{i % 2 == 0 ? left.range.qmin : left.range.qmax} - a_zero) *
              (std::int64_t{i < 2 ? right.qmin : right.qmax} - b_zero);
  }
  const auto [lowest, highest] = std::minmax_element(ends.begin(), ends.end());
  checker.Require(*lowest >= out.range.qmin && *highest <= out.range.qmax,
                  "a product can leave the output's range");
}

std::string MultiplyOp::Formula(const Program& program) const {
  if (b.empty()) return "y[c] = (a[c] - a_zero) factor[c]";
  const std::int64_t each = program.Tensor(a).shape.back() / program.Tensor(b).shape.back();
  if (each == 1) return "y = (a - a_zero) (b - b_zero)";
  return "y[c] = (a[c] - a_zero) (b[floor(c / " + std::to_string(each) + ")] - b_zero)";
}

void MultiplyOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> left = run.Wide(a);
  std::vector<std::int32_t> out(left.size());
  if (b.empty()) {
    const std::vector<std::int32_t> right = run.WideConstant(factor);
    for (std::size_t row = 0; row < left.size(); row += right.size())
      Multiply(std::span(left).subspan(row, right.size()), a_zero, right, 0,
               std::span(out).subspan(row, right.size()));
  } else {
    Multiply(left, a_zero, run.Wide(b), b_zero, out);
  }
  run.Store(output, out);
}

}  // namespace qsim::golden
