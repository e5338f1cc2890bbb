#include "golden/program/ops/concat.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void ConcatOp::Check(const Checker& checker) const {
  Shape shape = checker.Tensor(a).shape;
  shape[0] = checker.Tensor(b).shape[0];
  checker.RequireShape(b, shape);
  shape[0] += checker.Tensor(a).shape[0];
  checker.RequireShape(output, shape);
  checker.RequireSameCodes(a, output);
  checker.RequireSameCodes(b, output);
}

void ConcatOp::Run(OperationRun& run) const {
  std::vector<std::int32_t> rows = run.Wide(a);
  const std::vector<std::int32_t> more = run.Wide(b);
  rows.insert(rows.end(), more.begin(), more.end());
  run.Store(output, rows);
}

}  // namespace qsim::golden
