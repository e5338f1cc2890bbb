#include "golden/program/ops/gelu.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

GeluShape GeluOp::ShapeOf(const TensorInfo& in, const TensorInfo& out) {
  return {.range = out.range, .input_qmin = in.range.qmin, .row_length = in.shape.back()};
}

void GeluOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const GeluKind kind = KindOf(params);
  const int most = MostGeluInputBits(kind);
  checker.Require(BitsOf(in.dtype) <= most, "'" + input + "' must be at most " +
                                                std::to_string(most) + " bits wide for " +
                                                std::string(Name(kind)));
  const TensorInfo& out = checker.Tensor(output);
  checker.RequireShape(output, in.shape);
  if (const auto* lookup = std::get_if<GeluTableParams>(&params)) {
    checker.RequireTable(lookup->table, input, output);
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

}  // namespace qsim::golden
