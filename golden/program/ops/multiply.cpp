#include "golden/program/ops/multiply.h"

#include <algorithm>
#include <array>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void MultiplyOp::Check(const Checker& checker) const {
  const TensorInfo &left = checker.Tensor(a), &right = checker.Tensor(b),
                   &out = checker.Tensor(output);
  checker.RequireShape(b, left.shape);
  checker.RequireShape(output, left.shape);
  checker.Require(BitsOf(left.dtype) <= 16 && BitsOf(right.dtype) <= 16,
                  "factors must be 16 bits or narrower");
  checker.RequireWithin({a_zero, b_zero}, -kMaxZero, kMaxZero, "zero point");
  // A product of intervals has its extremes at their ends.
  std::array<std::int64_t, 4> ends = {};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    ends[i] = (std::int64_t{i % 2 == 0 ? left.range.qmin : left.range.qmax} - a_zero) *
              (std::int64_t{i < 2 ? right.range.qmin : right.range.qmax} - b_zero);
  }
  const auto [lowest, highest] = std::minmax_element(ends.begin(), ends.end());
  checker.Require(*lowest >= out.range.qmin && *highest <= out.range.qmax,
                  "a product can leave the output's range");
}

void MultiplyOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> left = run.Wide(a);
  std::vector<std::int32_t> out(left.size());
  Multiply(left, a_zero, run.Wide(b), b_zero, out);
  run.Store(output, out);
}

}  // namespace qsim::golden
