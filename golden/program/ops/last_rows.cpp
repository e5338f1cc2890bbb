#include "golden/program/ops/last_rows.h"

#include <algorithm>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void LastRowsOp::Check(const Checker& checker) const {
  Shape shape = checker.Tensor(input).shape;
  shape[0] = checker.Tensor(past).shape[0];
  checker.RequireShape(past, shape);
  checker.RequireShape(output, shape);
  checker.RequireSameCodes(past, output);
  checker.RequireSameCodes(input, output);
}

void LastRowsOp::Run(OperationRun& run) const {
  IntTensor out = run.Value(past);
  std::visit(
      [&]<typename T>(std::vector<T>& rows) {
        const std::vector<T>& more = run.Value(input).As<T>();
        const auto moved = static_cast<std::ptrdiff_t>(std::min(more.size(), rows.size()));
        std::copy(rows.begin() + moved, rows.end(), rows.begin());
        std::copy(more.end() - moved, more.end(), rows.end() - moved);
      },
      out.storage());
  run.Store(output, std::move(out));
}

}  // namespace qsim::golden
