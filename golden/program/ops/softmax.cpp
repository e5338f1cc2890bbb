#include "golden/program/ops/softmax.h"

#include <span>

#include "golden/ops/one_or_each.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim {

void SoftmaxOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(in.shape.size() == 3 && in.shape == out.shape, "needs [heads, tokens, tokens]");
  checker.Require(BitsOf(in.dtype) <= 16, "scores must be 16 bits or narrower");
  checker.RequireCount(params.size(), in.shape[0], "params");
  for (const SoftmaxParams& p : params) {
    checker.Require(p.index() == params.front().index(),
                    "uses '" + std::string(NameOfAlgorithm(params.front())) + "' and '" +
                        std::string(NameOfAlgorithm(p)) + "' on different heads");
    checker.Require(in.shape[2] <= MaxSoftmaxRow(KindOf(p)), "row is too long");
    checker.RequireLegal([&] { CheckSoftmaxParams(p); });
    const auto* log_int = std::get_if<LogIntSoftmaxParams>(&p);
    checker.Require(log_int == nullptr || log_int->code_bits == 4, "code_bits must be 4");
    const QuantRange range = SoftmaxOutputRange(p);
    const DType dtype = range.qmin < 0 ? DType::kInt8 : DType::kUint8;
    checker.Require(range.qmin >= -128 && range.qmax <= (range.qmin < 0 ? 127 : 255),
                    "output does not fit 8 bits");
    checker.Require(out.dtype == dtype && out.range == range,
                    "output must be " + std::string(Name(dtype)) + " in " +
                        std::to_string(range.qmin) + ".." + std::to_string(range.qmax));
  }
}

void SoftmaxOp::Run(OperationRun& run) const {
  const Shape& shape = run.Info(input).shape;
  const std::vector<std::int32_t> scores = run.Wide(input);
  const auto width = static_cast<std::size_t>(shape.back());
  const auto rows_per_head = static_cast<std::size_t>(shape[1]);
  std::vector<std::int32_t> out(scores.size());
  std::int64_t saturated = 0;
  for (std::size_t row = 0; row * width < scores.size(); ++row) {
    saturated +=
        Softmax(std::span(scores).subspan(row * width, width),
                EntryFor(params, row / rows_per_head), std::span(out).subspan(row * width, width));
  }
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim
