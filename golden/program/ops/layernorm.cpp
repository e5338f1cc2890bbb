#include "golden/program/ops/layernorm.h"

#include <algorithm>
#include <span>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

// ibert and ivit.
template <typename Params>
void CheckRootOfSum(const Params& p, const Checker& checker, const TensorInfo& in) {
  const std::int64_t channels = in.shape[1];
  checker.Require(
      p.input_shift.empty() || static_cast<std::int64_t>(p.input_shift.size()) == channels,
      "input_shift needs no entry or one per channel");
  checker.RequireWithin(p.input_shift, 0, 8, "input_shift");
  const std::int64_t widest = std::max(std::int64_t{in.range.qmax} - p.input_zero,
                                       std::int64_t{p.input_zero} - in.range.qmin);
  for (std::size_t c = 0; c < p.input_shift.size(); ++c) {
    checker.Require(
        widest << p.input_shift[c] <= kMaxLayernormInput,
        "input of channel " + std::to_string(c) + " leaves 25 bits after zero point and shift");
  }
  checker.RequireScales(p.scale, channels);
  checker.RequireCount(p.zero.size(), channels, "zero");
  checker.RequireWithin(p.zero, -kMaxZero, kMaxZero, "zero");
}

struct OwnChecks {
  const Checker& checker;
  const TensorInfo& in;
  const TensorInfo& out;

  void operator()(const IbertLayernormParams& p) const {
    checker.Require(p.std_shift >= 0 && p.std_shift <= kMaxLayernormStdShift,
                    "std_shift out of range");
    checker.RequireEps(p.eps, p.std_shift);
    CheckRootOfSum(p, checker, in);
  }
  void operator()(const IvitLayernormParams& p) const {
    checker.RequireEps(p.eps, 0);
    CheckRootOfSum(p, checker, in);
  }
  void operator()(const DeeployLayernormParams& p) const {
    checker.Require(static_cast<std::int64_t>(p.weight.size()) == in.shape[1],
                    "weight needs one entry per channel");
    checker.Require(p.log2d >= 0 && p.log2d <= 62, "log2d must be in 0..62");
    checker.RequireEps(p.eps, 0);
    checker.Require(!p.wrap || out.range == QuantRange{-128, 127}, "wrap needs an int8 output");
  }
};

}  // namespace

void LayernormOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(in.shape.size() == 2 && in.shape == out.shape, "needs [tokens, channels]");
  checker.Require(BitsOf(in.dtype) <= 16, "input must be 16 bits or narrower");
  const std::int64_t channels = in.shape[1];
  checker.Require(channels <= kMaxChannels, "row is too long");
  std::visit(
      [&](const auto& p) {
        checker.Require(p.input_zero >= -kMaxZero && p.input_zero <= kMaxZero,
                        "input_zero out of range");
        checker.Require(static_cast<std::int64_t>(p.bias.size()) == channels,
                        "bias needs one entry per channel");
        for (const std::int64_t b : p.bias) {
          checker.Require(b >= -kMaxLayernormBias && b <= kMaxLayernormBias, "bias out of range");
        }
      },
      params);
  std::visit(OwnChecks{checker, in, out}, params);
}

void LayernormOp::Run(OperationRun& run) const {
  const std::vector<std::int32_t> x = run.Wide(input);
  const TensorInfo& info = run.Info(output);
  const auto width = static_cast<std::size_t>(info.shape.back());
  std::vector<std::int32_t> out(x.size());
  std::int64_t saturated = 0;
  for (std::size_t begin = 0; begin < x.size(); begin += width) {
    saturated += Layernorm(std::span(x).subspan(begin, width), params, info.range,
                           std::span(out).subspan(begin, width));
  }
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
