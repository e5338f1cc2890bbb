#include "golden/program/ops/gelu.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim {
namespace {

GeluShape ShapeOf(const TensorInfo& in, const TensorInfo& out) {
  return {.range = out.range, .input_qmin = in.range.qmin, .row_length = in.shape.back()};
}

}  // namespace

void GeluOp::Check(const Checker& checker) const {
  checker.RequireNarrow(input);
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.RequireShape(output, in.shape);
  if (const auto* lookup = std::get_if<GeluTableParams>(&params)) {
    const std::int64_t codes = std::int64_t{in.range.qmax} - in.range.qmin + 1;
    checker.Require(static_cast<std::int64_t>(lookup->table.size()) == codes,
                    "table needs " + std::to_string(codes) +
                        " entries, one per code of the input, has " +
                        std::to_string(lookup->table.size()));
    checker.RequireWithin(lookup->table, out.range.qmin, out.range.qmax, "table");
  }
  std::visit(
      [&](const auto& p) {
        if constexpr (requires { p.scale; }) {
          checker.RequireScales({p.scale}, 1);
          std::int32_t input_zero = 0;  // ita has none
          if constexpr (requires { p.input_zero; }) input_zero = p.input_zero;
          checker.RequireWithin({input_zero, p.zero}, -kMaxZero, kMaxZero, "zero point");
        }
      },
      params);
  checker.RequireLegal([&] { CheckGeluParams(params, ShapeOf(in, out)); });
}

void GeluOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> in = run.Wide(input);
  std::vector<std::int32_t> out(in.size());
  const std::int64_t saturated = Gelu(in, params, ShapeOf(run.Info(input), run.Info(output)), out);
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim
