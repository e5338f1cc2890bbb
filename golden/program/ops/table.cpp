#include "golden/program/ops/table.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void TableOp::Check(const Checker& checker) const {
  checker.Require(BitsOf(checker.Tensor(input).dtype) <= 16, "input must be 16 bits or narrower");
  checker.RequireShape(output, checker.Tensor(input).shape);
  checker.RequireTable(table, input, output);
}

void TableOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> in = run.Wide(input);
  std::vector<std::int32_t> out(in.size());
  Table(in, run.Info(input).range.qmin, table, out);
  run.Store(output, out);
}

}  // namespace qsim::golden
