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
  checker.Require(out.shape.size() == 2, "needs [tokens, channels]");
  const Shape& in = checker.Tensor(a).shape;
  checker.Require(in.size() == 2 && in[0] <= out.shape[0] && in[1] == out.shape[1],
                  "'" + a + "' has the wrong shape");
  checker.Require(checker.Tensor(a).dtype == DType::kInt32,
                  "'" + a + "' must be int32 accumulators");
  const IntTensor& table = checker.program().Constant(position);
  checker.Require(table.dtype() == DType::kInt32 && table.shape() == out.shape,
                  "position must be int32 [tokens, channels]");
  checker.RequireWithin(table.As<std::int32_t>(), -kMaxPosition, kMaxPosition, "position");
  for (std::int64_t i = 0; i < ElementCount(out.shape) - ElementCount(in); ++i) {
    checker.Require(table.At(i) >= out.range.qmin && table.At(i) <= out.range.qmax,
                    "position[" + std::to_string(i) + "], of a row in front of the patches, is " +
                        std::to_string(table.At(i)) + ", outside the output's range");
  }
  checker.RequireCount(a_multiplier.size(), out.shape[1], "a_multiplier");
  checker.RequireWithin(a_multiplier, -INT32_MAX, INT32_MAX, "a_multiplier");
  checker.RequireWithin({b_multiplier}, -INT32_MAX, INT32_MAX, "b_multiplier");
  checker.Require(shift >= 0 && shift <= 62, "shift must be in 0..62");
  checker.RequireWithin({out_zero}, -kMaxZero, kMaxZero, "zero point");
}

std::string EmbedOp::Formula(const Program& program) const {
  const std::int64_t in_front = program.Tensor(output).shape[0] - program.Tensor(a).shape[0];
  const std::string rows = std::to_string(in_front);
  std::string text =
      "y[t] = clamp(zero + rounding((a[t" + (in_front > 0 ? "-" + rows : "") +
      "] a_multiplier + position[t] b_multiplier) / 2^shift), qmin, qmax), t >= " + rows;
  for (std::int64_t t = 0; t < in_front; ++t) {
    const std::string row = "[" + std::to_string(t) + "]";
    text += "\ny" + row + " = position" + row;
  }
  return text;
}

ResidualAddParams EmbedOp::Params(const TensorInfo& info, std::int64_t patches) const {
  ResidualAddParams params;
  params.layout = {patches, info.shape[1], 1};
  params.a_multiplier = a_multiplier;
  params.b_multiplier = {&b_multiplier, 1};
  params.shift = shift;
  params.out_zero = out_zero;
  params.rounding = rounding;
  params.range = info.range;
  return params;
}

void EmbedOp::Run(OperationRun& run) const {
  const TensorInfo& info = run.Info(output);
  const std::span<const std::int32_t> table = run.Constant(position).As<std::int32_t>();
  const std::vector<std::int32_t> patches = run.Wide(a);
  const std::size_t in_front = table.size() - patches.size();
  const ResidualAddParams params =
      Params(info, static_cast<std::int64_t>(patches.size()) / info.shape[1]);
  std::vector<std::int32_t> out(table.begin(), table.end());
  const std::int64_t saturated =
      run.backend().ResidualAdd(run.Id(output), patches, table.subspan(in_front), info.shape[1],
                                params, std::span(out).subspan(in_front));
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
