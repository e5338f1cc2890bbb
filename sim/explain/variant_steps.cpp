// Inner steps of softmax and layer norm, where the outputs of a few rows ask for them: of a maximum
// over a part of the row there may be thousands.
#include <algorithm>
#include <set>

#include "sim/explain/variant_model.h"

namespace qsim::explain {

void VariantModel::RunOneRow(const Op& op, const InnerStep& step, std::int64_t row, bool limited,
                             std::span<std::int64_t> out) const {
  const Shape& shape = this->shape();  // the image in front
  const std::int64_t width = shape.back();
  const std::int64_t rows_of_image = size() / shape.front() / width;
  const std::int64_t rows_of_head = shape.size() == 4 ? shape[2] : rows_of_image;
  const std::int64_t within = row % rows_of_image;
  const std::int64_t token = within % rows_of_head;
  const TensorMap& inputs = inputs_[static_cast<std::size_t>(row / rows_of_image)];
  const auto softmax = std::get_if<SoftmaxOp>(&op);
  const std::string& name = softmax != nullptr ? softmax->input : std::get<LayernormOp>(op).input;
  const auto value = [](const IntTensor& tensor, std::int64_t at) {
    return std::visit(
        [at](const auto& values) {
          return static_cast<std::int32_t>(values[static_cast<std::size_t>(at)]);
        },
        tensor.storage());
  };
  std::vector<std::int32_t> x;
  std::vector<std::size_t> seen;
  for (std::int64_t i = 0; i < width; ++i) {
    bool visible = true;
    if (softmax != nullptr) {
      if (softmax->causal) visible = i <= token + width - rows_of_head;
      if (visible && !softmax->mask.empty()) {
        const IntTensor& mask = inputs.at(softmax->mask);
        const std::int64_t mask_row = mask.shape()[0] == 1 ? 0 : token;
        visible = value(mask, mask_row * width + i) != 0;
      }
    }
    if (!visible) continue;
    seen.push_back(static_cast<std::size_t>(i));
    x.push_back(value(inputs.at(name), within * width + i));
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = golden()[static_cast<std::size_t>(row * width) + i];
  if (x.empty()) return;
  std::vector<std::int64_t> results(x.size());
  RunRow(op, step, static_cast<std::size_t>(within / rows_of_head), x, results);
  for (std::size_t i = 0; i < seen.size(); ++i)
    out[seen[i]] = limited ? std::clamp(results[i], range().qmin, range().qmax) : results[i];
}

std::vector<std::int64_t> VariantModel::RunStep(const Op& op, const InnerStep& step,
                                                bool limited) const {
  std::vector<std::int64_t> out(static_cast<std::size_t>(size()));
  const auto width = static_cast<std::size_t>(shape().back());
  for (std::size_t row = 0; row * width < out.size(); ++row)
    RunOneRow(op, step, static_cast<std::int64_t>(row), limited,
              std::span(out).subspan(row * width, width));
  return out;
}

void VariantModel::AddSteps() {
  constexpr std::size_t kRows = 4;
  const Op& op = program_.ops.front();
  const std::int64_t width = shape().back();
  std::set<std::int64_t> rows;
  for (const std::int64_t e : SomeMismatches(4 * kRows))
    if (rows.size() < kRows) rows.insert(e / width);
  if (rows.empty()) return;
  std::vector<std::int64_t> out(static_cast<std::size_t>(width));
  for (InnerStep& step : InnerStepsOf(op, width)) {
    const bool fits = std::all_of(rows.begin(), rows.end(), [&](std::int64_t row) {
      RunOneRow(op, step, row, true, out);
      std::int64_t failures = 0;
      for (std::int64_t i = 0; i < width; ++i)
        failures +=
            out[static_cast<std::size_t>(i)] != actual()[static_cast<std::size_t>(row * width + i)];
      return failures * 8 <= width;
    });
    if (!fits) continue;
    const std::int64_t freedom = step.number != 0 ? 1 : 0;
    Add("steps", {Change::What::kStep, "", static_cast<std::int64_t>(steps_.size())}, step.id,
        step.phrase, 3);
    coordinates_.back().choices.back().freedom = freedom;
    steps_.push_back(std::move(step));
  }
}

}  // namespace qsim::explain
