#include "golden/program/ops/rmsnorm.h"

#include <algorithm>
#include <span>

#include "golden/ops/layernorm.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {

std::string RmsnormOp::Formula(const Program& /*program*/) const {
  const std::string of =
      groups <= 1 ? "" : ", each of " + std::to_string(groups) + " groups of columns by itself";
  return "x' = (x - input_zero) << input_shift" + of +
         "\n"
         "rms = max(floor(sqrt(sum((x' >> rms_shift)^2) + eps)) << rms_shift, 1)\n"
         "norm = (x' floor(2^31 / rms)) >> 1\n" +
         std::string(gate.empty() ? "" : "gated = norm (b - gate_zero)\n") +
         "y = clamp(zero + rounding((" + (gate.empty() ? "norm" : "gated") +
         " multiplier) / 2^shift), qmin, qmax)";
}

void RmsnormOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  checker.Require(in.shape.size() == 2, "needs [tokens, channels]");
  checker.RequireShape(output, in.shape);
  checker.Require(BitsOf(in.dtype) <= 16, "input must be 16 bits or narrower");
  const std::int64_t channels = in.shape[1];
  checker.Require(channels <= kMaxChannels, "row is too long");
  checker.Require(groups >= 0 && (groups == 0 || channels % groups == 0),
                  "groups is " + std::to_string(groups) + ", must divide the " +
                      std::to_string(channels) + " columns");
  checker.RequireWithin({params.input_zero, params.gate_zero}, -kMaxZero, kMaxZero, "zero point");
  if (gate.empty()) {
    checker.Require(params.gate_zero == 0, "gate_zero without a gate");
  } else {
    checker.RequireShape(gate, in.shape);
    checker.Require(BitsOf(checker.Tensor(gate).dtype) <= 16, "gate must be 16 bits or narrower");
  }
  checker.Require(params.input_shift.empty() ||
                      static_cast<std::int64_t>(params.input_shift.size()) == channels,
                  "input_shift needs no entry or one per channel");
  checker.RequireWithin(params.input_shift, 0, 8, "input_shift");
  const std::int64_t widest = std::max(std::int64_t{in.range.qmax} - params.input_zero,
                                       std::int64_t{params.input_zero} - in.range.qmin);
  for (const std::int32_t shift : params.input_shift) {
    checker.Require(widest << shift <= kMaxLayernormInput,
                    "input leaves 25 bits after zero point and shift");
  }
  checker.Require(params.rms_shift >= 0 && params.rms_shift <= kMaxLayernormStdShift,
                  "rms_shift out of range");
  checker.RequireEps(params.eps, params.rms_shift);
  checker.RequireScales(params.scale, channels);
  checker.RequireCount(params.zero.size(), channels, "zero");
  checker.RequireWithin(params.zero, -kMaxZero, kMaxZero, "zero");
}

RmsnormParams RmsnormOp::Of(std::size_t first, std::size_t width) const {
  RmsnormParams of = params;
  const auto cut = [&](auto& list) {
    if (list.size() > 1) {
      const auto begin = list.begin() + static_cast<std::ptrdiff_t>(first);
      list = {begin, begin + static_cast<std::ptrdiff_t>(width)};
    }
  };
  cut(of.input_shift);
  cut(of.scale);
  cut(of.zero);
  return of;
}

void RmsnormOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> x = run.Wide(input);
  const std::vector<std::int32_t> gates =
      gate.empty() ? std::vector<std::int32_t>() : run.Wide(gate);
  const TensorInfo& info = run.Info(output);
  const auto channels = static_cast<std::size_t>(info.shape.back());
  const std::size_t width = groups == 0 ? channels : channels / static_cast<std::size_t>(groups);
  std::vector<std::int32_t> out(x.size());
  std::int64_t saturated = 0;
  for (std::size_t column = 0; column < channels; column += width) {
    const RmsnormParams of_group = Of(column, width);
    for (std::size_t begin = column; begin < x.size(); begin += channels) {
      std::span<const std::int32_t> row(gates);
      if (!gate.empty()) row = row.subspan(begin, width);
      saturated += Rmsnorm(std::span(x).subspan(begin, width), row, of_group, info.range,
                           std::span(out).subspan(begin, width));
    }
  }
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
