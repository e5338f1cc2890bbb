#include "golden/program/ops/softmax.h"

#include <algorithm>
#include <span>

#include "golden/ops/one_or_each.h"
#include "golden/program/checker.h"
#include "golden/program/operation_run.h"

namespace qsim::golden {
std::vector<std::uint8_t> SoftmaxOp::Visible(const OperationRun& run) const {
  if (mask.empty() && !causal) return {};
  const std::int64_t rows = run.Info(input).shape[1], columns = run.Info(input).shape[2];
  std::vector<std::uint8_t> visible;
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t s = 0; s < columns; ++s)
      visible.push_back(!causal || s <= t + columns - rows);
  }
  if (mask.empty()) return visible;
  const std::vector<std::uint8_t>& seen = run.Value(mask).As<std::uint8_t>();
  for (std::size_t i = 0; i < visible.size(); ++i) visible[i] &= seen[i % seen.size()];
  return visible;
}

void SoftmaxOp::Check(const Checker& checker) const {
  const TensorInfo& in = checker.Tensor(input);
  const TensorInfo& out = checker.Tensor(output);
  checker.Require(in.shape.size() == 3 && in.shape == out.shape, "needs [heads, tokens, keys]");
  checker.Require(BitsOf(in.dtype) <= 16, "scores must be 16 bits or narrower");
  if (!mask.empty()) {
    const TensorInfo& seen = checker.Tensor(mask);
    checker.Require(seen.dtype == DType::kUint8 && seen.range == QuantRange{0, 1} &&
                        seen.shape.size() == 2 && seen.shape[1] == in.shape[2] &&
                        (seen.shape[0] == 1 || seen.shape[0] == in.shape[1]),
                    "mask must be uint8 in 0..1, [tokens or 1, keys]");
  }
  checker.RequireCount(params.size(), in.shape[0], "params");
  for (const SoftmaxParams& p : params) {
    checker.Require(p.index() == params.front().index(),
                    "uses '" + std::string(NameOfAlgorithm(params.front())) + "' and '" +
                        std::string(NameOfAlgorithm(p)) + "' on different heads");
    checker.Require(in.shape[2] <= (division == SoftmaxDivision::kAfter ? kMaxSoftmaxRow
                                                                        : MaxSoftmaxRow(KindOf(p))),
                    "row is too long");
    checker.RequireLegal([&] { CheckSoftmaxParams(p); });
    const auto* log_int = std::get_if<LogIntSoftmaxParams>(&p);
    checker.Require(log_int == nullptr || log_int->code_bits == 4, "code_bits must be 4");
    if (const auto* table = std::get_if<TableSoftmaxParams>(&p)) {
      const std::size_t entries = std::max<std::size_t>(table->exp_high.size(), 1);
      checker.Require(
          std::int64_t{in.range.qmax} - in.range.qmin < static_cast<std::int64_t>(256 * entries) &&
              table->exp_high.size() ==
                  std::get<TableSoftmaxParams>(params.front()).exp_high.size(),
          "exp_high must have an entry for each 256 codes of the scores");
    }
    const QuantRange range = SoftmaxOutputRange(p, division);
    // 0..127 fits either.
    const bool as_signed = range.qmin >= -128 && range.qmax <= 127;
    const bool as_unsigned = range.qmin >= 0 && range.qmax <= 255;
    checker.Require(as_signed || as_unsigned, "output does not fit 8 bits");
    checker.Require(
        ((as_signed && out.dtype == DType::kInt8) || (as_unsigned && out.dtype == DType::kUint8)) &&
            out.range == range,
        "output must be " + std::string(as_unsigned ? "uint8" : "int8") +
            (as_signed && as_unsigned ? " or int8" : "") + " in " + std::to_string(range.qmin) +
            ".." + std::to_string(range.qmax));
  }
}

std::string SoftmaxOp::Formula(const Program& program) const {
  std::string text = "over the last axis";
  if (mask.empty() && !causal) return text;
  const Shape& shape = program.Tensor(input).shape;
  if (causal) text += " where s <= t + " + std::to_string(shape[2] - shape[1]);
  if (!mask.empty()) text += (causal ? " and " : " where ") + mask + "[t][s] = 1";
  return text + ", elsewhere y = " + std::to_string(SoftmaxZero(params.front(), division));
}

std::string SoftmaxOp::LastStep(std::string before, const std::string& exponential,
                                const std::string& largest) const {
  if (division == SoftmaxDivision::kBefore) return before;
  if (KindOf(params.front()) != SoftmaxKind::kLogInt) {
    return "y = half_up(255 " + exponential + " / E), at most 255; E = " + largest;
  }
  const std::string sum = "sum(e)";
  return before.replace(before.find(sum), sum.size(), "E") + "\nE = " + largest;
}

void SoftmaxOp::Run(OperationRun& run) const {
  const Shape& shape = run.Info(input).shape;
  const std::vector<std::int32_t> scores = run.Wide(input);
  const auto width = static_cast<std::size_t>(shape[2]);
  const auto rows_per_head = static_cast<std::size_t>(shape[1]);
  const std::vector<std::uint8_t> visible = Visible(run);
  std::vector<std::int32_t> out(scores.size());
  std::int64_t saturated = 0;
  for (std::size_t row = 0; row * width < scores.size(); ++row) {
    const auto in = std::span(scores).subspan(row * width, width);
    const auto to = std::span(out).subspan(row * width, width);
    const SoftmaxParams& head = EntryFor(params, row / rows_per_head);
    if (!visible.empty()) {
      saturated += MaskedSoftmax(in, std::span(visible).subspan(row % rows_per_head * width, width),
                                 head, to, division);
    } else if (division == SoftmaxDivision::kAfter) {
      saturated += SoftmaxExponentials(in, head, to);
    } else {
      saturated += Softmax(in, head, to);
    }
  }
  run.StoreClamped(output, out, saturated);
}

}  // namespace qsim::golden
