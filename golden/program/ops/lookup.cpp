#include "golden/program/ops/lookup.h"

#include <algorithm>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void LookupOp::Check(const Checker& checker) const {
  const TensorInfo &ids = checker.Tensor(input), &out = checker.Tensor(output);
  const IntTensor& rows = checker.program().Constant(table);
  checker.Require(rows.shape().size() == 2 && rows.dtype() == out.dtype,
                  "'" + table + "' must be [rows, columns], of the output's type");
  checker.Require(ids.shape.size() == 1, "'" + input + "' must be a list of ids");
  checker.RequireShape(output, {ids.shape[0], rows.shape()[1]});
  checker.Require(ids.range.qmin >= 0 && ids.range.qmax < rows.shape()[0],
                  "'" + input + "' must be within 0.." + std::to_string(rows.shape()[0] - 1) +
                      ", the rows of '" + table + "'");
  std::visit(
      [&](const auto& values) {
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        checker.Require(*least >= out.range.qmin && *most <= out.range.qmax,
                        "'" + table + "' leaves the output's range");
      },
      rows.storage());
}

void LookupOp::Run(OperationRun& run) const {
  IntTensor out(run.Info(output).dtype, run.Info(output).shape);
  const IntTensor& ids = run.Value(input);
  const std::int64_t width = out.shape()[1];
  std::visit(
      [&]<typename T>(std::vector<T>& values) {
        const std::vector<T>& rows = run.Constant(table).As<T>();
        for (std::int64_t t = 0; t < ids.size(); ++t)
          std::copy_n(rows.begin() + ids.At(t) * width, width, values.begin() + t * width);
      },
      out.storage());
  run.Store(output, std::move(out));
}

}  // namespace qsim::golden
