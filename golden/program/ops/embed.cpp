#include "golden/program/ops/embed.h"

#include <span>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

constexpr std::int32_t kMaxPosition = (1 << 16) - 1;

}  // namespace

void EmbedOp::Check(const Checker& checker) const {
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(out.shape.size() == 2 && out.shape[0] >= 2, "needs [1 + patches, channels]");
  checker.RequireShape(a, {out.shape[0] - 1, out.shape[1]});
  checker.Require(checker.Tensor(a).dtype == DType::kInt32,
                  "'" + a + "' must be int32 accumulators");
  const IntTensor& table = checker.program().Constant(position);
  checker.Require(table.dtype() == DType::kInt32 && table.shape() == out.shape,
                  "position must be int32 [1 + patches, channels]");
  checker.RequireWithin(table.As<std::int32_t>(), -kMaxPosition, kMaxPosition, "position");
  for (std::int64_t c = 0; c < out.shape[1]; ++c) {
    checker.Require(table.At(c) >= out.range.qmin && table.At(c) <= out.range.qmax,
                    "position[" + std::to_string(c) + "], of the class token, is " +
                        std::to_string(table.At(c)) + ", outside the output's range");
  }
  checker.RequireCount(a_multiplier.size(), out.shape[1], "a_multiplier");
  checker.RequireWithin(a_multiplier, -INT32_MAX, INT32_MAX, "a_multiplier");
  checker.RequireWithin({b_multiplier}, -INT32_MAX, INT32_MAX, "b_multiplier");
  checker.Require(shift >= 0 && shift <= 62, "shift must be in 0..62");
  checker.RequireWithin({out_zero}, -kMaxZero, kMaxZero, "zero point");
}

void EmbedOp::Run(OperationRun& run) const {
  const TensorInfo& info = run.Info(output);
  const std::span<const std::int32_t> table = run.Constant(position).As<std::int32_t>();
  const auto channels = static_cast<std::size_t>(info.shape[1]);
  ResidualAddParams params;
  params.layout = {info.shape[0] - 1, info.shape[1], 1};
  params.a_multiplier = a_multiplier;
  params.b_multiplier = {&b_multiplier, 1};
  params.shift = shift;
  params.out_zero = out_zero;
  params.rounding = rounding;
  params.range = info.range;
  std::vector<std::int32_t> out(table.begin(), table.end());
  const std::int64_t saturated =
      run.backend().ResidualAdd(run.Id(output), run.Wide(a), table.subspan(channels), info.shape[1],
                                params, std::span(out).subspan(channels));
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
