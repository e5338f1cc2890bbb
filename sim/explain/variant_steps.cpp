// Inner steps, where the outputs of a few pieces ask for them: of a maximum over a part of the row
// there may be thousands.
#include <algorithm>

#include "golden/ops/one_or_each.h"
#include "sim/explain/step_search.h"
#include "sim/explain/variant_model.h"

namespace qsim::explain {
namespace {

// Rows of softmax and layer norm, groups of a row of RMS norm.
class RowPieces final : public InnerPieces {
 public:
  RowPieces(const Program& program, const Op& op, const std::vector<TensorMap>& inputs) {
    const std::string input = InputsOf(op).front();
    const Shape& shape = program.Tensor(input).shape;
    columns_ = width_ = shape.back();
    rows_ = ElementCount(shape) / columns_;
    rows_of_head_ = shape.size() == 3 ? shape[1] : rows_;
    const auto* const softmax = std::get_if<SoftmaxOp>(&op);
    const auto* const norm = std::get_if<RmsnormOp>(&op);
    if (norm != nullptr && norm->groups > 1) width_ = columns_ / norm->groups;
    for (const TensorMap& image : inputs) {
      x_.push_back(Int32Of(image.at(input)));
      gates_.emplace_back();
      if (norm != nullptr && !norm->gate.empty()) gates_.back() = Int32Of(image.at(norm->gate));
      masks_.emplace_back();
      if (softmax != nullptr && !softmax->mask.empty())
        masks_.back() = Int32Of(image.at(softmax->mask));
    }
    causal_ = softmax != nullptr && softmax->causal;
  }

  std::int64_t Count() const override { return std::ssize(x_) * rows_ * (columns_ / width_); }
  std::int64_t PieceOf(std::int64_t element) const override { return element / width_; }

  std::vector<std::int64_t> Elements(std::int64_t piece) const override {
    const std::int64_t image = piece / PerImage(), begin = piece * width_;
    const std::int64_t token = piece % PerImage() * width_ / columns_ % rows_of_head_;
    const std::vector<std::int32_t>& mask = masks_[static_cast<std::size_t>(image)];
    std::vector<std::int64_t> elements;
    for (std::int64_t i = 0; i < width_; ++i) {
      if (causal_ && i > token + columns_ - rows_of_head_) continue;
      const std::int64_t at = std::ssize(mask) == columns_ ? i : token * columns_ + i;
      if (!mask.empty() && mask[static_cast<std::size_t>(at)] == 0) continue;
      elements.push_back(begin + i);
    }
    return elements;
  }

  std::vector<std::int64_t> Run(const Op& op, std::int64_t piece, Inner& inner,
                                std::int64_t /*most*/) const override {
    const auto image = static_cast<std::size_t>(piece / PerImage());
    const std::int64_t first = static_cast<std::int64_t>(image) * rows_ * columns_;
    std::vector<std::int32_t> x, gate;
    const std::vector<std::int64_t> elements = Elements(piece);
    if (std::ssize(elements) < width_ && !elements.empty() && !inner.Does(Site::kMaskedFirst, true))
      return MaskedLast(op, piece, elements, inner);
    for (const std::int64_t e : elements) {
      x.push_back(x_[image][static_cast<std::size_t>(e - first)]);
      if (!gates_[image].empty())
        gate.push_back(gates_[image][static_cast<std::size_t>(e - first)]);
    }
    std::vector<std::int64_t> out(x.size());
    if (x.empty()) return out;
    if (const auto* softmax = std::get_if<SoftmaxOp>(&op)) {
      SoftmaxRow(EntryFor(softmax->params, HeadOf(piece)), softmax->division, x, inner, out);
    } else if (const auto* layernorm = std::get_if<LayernormOp>(&op)) {
      LayernormRow(layernorm->params, x, inner, out);
    } else if (const auto* norm = std::get_if<RmsnormOp>(&op)) {
      const auto column = static_cast<std::size_t>(piece * width_ % columns_);
      RmsnormRow(norm->Of(column, x.size()), x, gate, inner, out);
    }
    return out;
  }

 private:
  std::int64_t PerImage() const { return rows_ * (columns_ / width_); }
  std::int64_t HeadOf(std::int64_t piece) const { return piece % PerImage() / rows_of_head_; }

  // Of a row of softmax, as if nothing were masked: these elements' results.
  std::vector<std::int64_t> MaskedLast(const Op& op, std::int64_t piece,
                                       const std::vector<std::int64_t>& elements,
                                       Inner& inner) const {
    const auto& softmax = std::get<SoftmaxOp>(op);
    const std::int64_t begin = piece * width_;
    const auto& image = x_[static_cast<std::size_t>(piece / PerImage())];
    const auto from = image.begin() + piece % PerImage() * width_;
    const std::vector<std::int32_t> row(from, from + width_);
    std::vector<std::int64_t> out(row.size()), results;
    SoftmaxRow(EntryFor(softmax.params, HeadOf(piece)), softmax.division, row, inner, out);
    for (const std::int64_t e : elements)
      results.push_back(out[static_cast<std::size_t>(e - begin)]);
    return results;
  }

  std::int64_t rows_ = 0, columns_ = 0, width_ = 0, rows_of_head_ = 0;
  bool causal_ = false;
  std::vector<std::vector<std::int32_t>> x_, gates_, masks_;  // of each image
};

}  // namespace

std::vector<std::int32_t> Int32Of(const IntTensor& tensor) {
  return std::visit(
      [](const auto& values) { return std::vector<std::int32_t>(values.begin(), values.end()); },
      tensor.storage());
}

std::unique_ptr<InnerPieces> MakeInnerPieces(const Program& program, const Op& op,
                                             const std::vector<TensorMap>& inputs) {
  if (std::holds_alternative<SoftmaxOp>(op) || std::holds_alternative<LayernormOp>(op) ||
      std::holds_alternative<RmsnormOp>(op))
    return std::make_unique<RowPieces>(program, op, inputs);
  return MakeRecurrencePieces(program, op, inputs);
}

std::vector<std::int64_t> VariantModel::RunSteps(const Op& op, std::span<const InnerStep> steps,
                                                 bool limited) const {
  std::vector<std::int64_t> out = golden();  // of elements that see nothing
  Inner inner(steps);
  for (std::int64_t piece = 0; piece < pieces_->Count(); ++piece) {
    const std::vector<std::int64_t> elements = pieces_->Elements(piece);
    const std::vector<std::int64_t> results = pieces_->Run(op, piece, inner);
    for (std::size_t i = 0; i < elements.size(); ++i)
      out[static_cast<std::size_t>(elements[i])] =
          limited ? std::clamp(results[i], range().qmin, range().qmax) : results[i];
  }
  return out;
}

void VariantModel::AddSteps() {
  const Op& op = program_.ops.front();
  pieces_ = MakeInnerPieces(program_, op, inputs_);
  if (pieces_ == nullptr) return;
  const StepSubject subject = {*pieces_, op,
                               golden(), actual(),
                               range(),  shape().back(),
                               threads_, [this](std::size_t n) { return SomeMismatches(n); }};
  for (std::vector<InnerStep>& steps : FindSteps(subject)) {
    std::string id, phrase;
    std::int64_t freedom = 0;
    for (const InnerStep& step : steps) {
      id += (id.empty() ? "" : "+") + step.id;
      phrase += (phrase.empty() ? "" : ", and ") + step.phrase;
      freedom += step.number != 0 && step.how != InnerStep::How::kBits ? 1 : 0;
    }
    Add("steps", {Change::What::kStep, "", std::ssize(steps_)}, id, phrase, CostOfSteps(steps),
        freedom);
    steps_.push_back(std::move(steps));
  }
}

}  // namespace qsim::explain
