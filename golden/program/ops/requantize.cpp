#include "golden/program/ops/requantize.h"

#include <algorithm>

#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
namespace {

std::vector<std::int32_t> Columns(const std::vector<std::int32_t>& in, std::int64_t in_width,
                                  std::int64_t first, std::int64_t width) {
  const std::int64_t rows = static_cast<std::int64_t>(in.size()) / in_width;
  std::vector<std::int32_t> out;
  out.reserve(static_cast<std::size_t>(rows * width));
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto begin = in.begin() + r * in_width + first;
    out.insert(out.end(), begin, begin + width);
  }
  return out;
}

}  // namespace

RequantizeParams RequantizeOp::Params(const ChannelLayout& layout, QuantRange range) const {
  RequantizeParams params;
  params.layout = layout;
  params.scale = scale;
  params.zero = zero;
  params.input_zero = input_zero;
  params.rounding = rounding;
  params.scheme = scheme;
  params.addend = addend;
  params.range = range;
  return params;
}

void RequantizeOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(in.shape.size() == out.shape.size() &&
                      std::equal(in.shape.begin(), in.shape.end() - 1, out.shape.begin()),
                  "input and output shapes do not fit");
  checker.Require(first_column >= 0 && out.shape.back() <= in.shape.back() - first_column,
                  "reads columns beyond its input");
  const ChannelLayout layout = LayoutOf(out.shape, axis);
  checker.RequireScales(scale, layout.channels);
  checker.RequireCount(zero.size(), layout.channels, "zero");
  checker.RequireWithin(zero, -kMaxZero, kMaxZero, "zero");
  checker.Require(in.dtype == DType::kInt32 ? input_zero == 0
                                            : input_zero >= -kMaxZero && input_zero <= kMaxZero,
                  "input_zero out of range");
  checker.RequireLegal([&] { CheckRequantizeParams(Params(layout, out.range)); });
}

std::string RequantizeOp::Formula(const Program& program) const {
  const std::int64_t width = program.Tensor(output).shape.back();
  std::string columns;
  if (first_column != 0 || program.Tensor(input).shape.back() != width) {
    columns = "x = columns " + std::to_string(first_column) + ".." +
              std::to_string(first_column + width - 1) + " of the input\n";
  }
  return columns + "y = clamp(zero + " + std::string(FormulaOf(scheme)) + ", qmin, qmax)";
}

void RequantizeOp::Run(OperationRun& run) const {
  const TensorInfo& info = run.Info(output);
  std::vector<std::int32_t> in = run.Wide(input);
  const std::int64_t in_width = run.Info(input).shape.back();
  const std::int64_t width = info.shape.back();
  if (in_width != width) in = Columns(in, in_width, first_column, width);
  std::vector<std::int32_t> out(in.size());
  const std::int64_t saturated = run.backend().Requantize(
      run.Id(output), in, width, Params(LayoutOf(info.shape, axis), info.range), out);
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
