#include "golden/program/ops/residual_add.h"

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

void ResidualAddOp::Check(const Checker& checker) const {
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(out.shape.size() == 2, "needs [tokens, channels]");
  checker.RequireShape(a, out.shape);
  checker.RequireShape(b, out.shape);
  checker.Require(BitsOf(checker.Tensor(b).dtype) <= 16, "'" + b + "' must be 16 bits or narrower");
  const std::int64_t channels = out.shape[1];
  checker.RequireCount(a_multiplier.size(), channels, "a_multiplier");
  checker.RequireCount(b_multiplier.size(), channels, "b_multiplier");
  checker.RequireWithin(a_multiplier, -INT32_MAX, INT32_MAX, "a_multiplier");
  checker.RequireWithin(b_multiplier, -INT32_MAX, INT32_MAX, "b_multiplier");
  checker.Require(shift >= 0 && shift <= 62, "shift must be in 0..62");
  checker.Require(checker.Tensor(a).dtype != DType::kInt32 || a_zero == 0,
                  "an accumulator has no zero point");
  checker.RequireWithin({a_zero, b_zero, out_zero}, -kMaxZero, kMaxZero, "zero point");
}

ResidualAddParams ResidualAddOp::Params(const TensorInfo& info) const {
  ResidualAddParams params;
  params.layout = LayoutOf(info.shape, ChannelAxis::kLast);
  params.a_multiplier = a_multiplier;
  params.b_multiplier = b_multiplier;
  params.shift = shift;
  params.a_zero = a_zero;
  params.b_zero = b_zero;
  params.out_zero = out_zero;
  params.rounding = rounding;
  params.range = info.range;
  return params;
}

void ResidualAddOp::Run(OperationRun& run) const {
  const TensorInfo& info = run.Info(output);
  const ResidualAddParams params = Params(info);
  std::vector<std::int32_t> out(static_cast<std::size_t>(params.layout.size()));
  const std::int64_t saturated = run.backend().ResidualAdd(run.Id(output), run.Wide(a), run.Wide(b),
                                                           info.shape.back(), params, out);
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
