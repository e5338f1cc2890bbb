// Inner steps, where the outputs of a few pieces ask for them: of a maximum over a part of the row
// there may be thousands.
#include <algorithm>
#include <set>

#include "golden/ops/one_or_each.h"
#include "sim/explain/variant_model.h"
#include "sim/parallel.h"

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

// Of a piece, or of its first elements: what the results gain over the golden ones, less what they
// break.
std::int64_t GainOf(const std::vector<std::int64_t>& elements,
                    const std::vector<std::int64_t>& results, OutputRange range,
                    std::span<const std::int64_t> golden, std::span<const std::int64_t> actual) {
  std::int64_t gain = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto e = static_cast<std::size_t>(elements[i]);
    const bool agrees = std::clamp(results[i], range.qmin, range.qmax) == actual[e];
    const bool agreed = golden[e] == actual[e];
    gain += (agrees ? 1 : 0) - (agreed ? 1 : 0);
  }
  return gain;
}

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
  constexpr std::int64_t kElements = 1 << 14;  // that a step is tried on first, about
  constexpr std::int64_t kPieces = 12;
  constexpr std::size_t kTriedAgain = 64;  // on so many times as much
  constexpr std::int64_t kAgain = 8;
  constexpr std::size_t kKept = 24;
  const Op& op = program_.ops.front();
  pieces_ = MakeInnerPieces(program_, op, inputs_);
  if (pieces_ == nullptr) return;
  const std::int64_t per_piece = std::max<std::int64_t>(size() / pieces_->Count(), 1);
  const std::int64_t count = std::clamp<std::int64_t>(kElements / per_piece, 2, kPieces);
  std::vector<std::int64_t> order;  // pieces with mismatches, evenly spread
  std::set<std::int64_t> seen;
  for (const std::int64_t e : SomeMismatches(static_cast<std::size_t>(16 * count * kAgain)))
    if (seen.insert(pieces_->PieceOf(e)).second) order.push_back(pieces_->PieceOf(e));
  const auto some = [&](std::int64_t most) {
    most = std::min(most, std::ssize(order));
    std::vector<std::int64_t> list;
    for (std::int64_t i = 0; i < most; ++i)
      list.push_back(order[static_cast<std::size_t>(i * std::ssize(order) / most)]);
    return list;
  };
  // Steps of work that one attempt takes, of long sequences up to some mismatches, and what all of
  // a kind may take.
  constexpr std::int64_t kMostAttempt = 1 << 22;
  constexpr std::int64_t kMostWork = 1 << 26;
  constexpr std::int64_t kSomeMismatches = 256;
  const std::vector<std::int64_t> few = some(count);
  std::int64_t most = kMostAttempt / (count * pieces_->Work()), mismatches = 0;
  const auto differs = [&](std::int64_t e) {
    return golden()[static_cast<std::size_t>(e)] != actual()[static_cast<std::size_t>(e)];
  };
  for (const std::int64_t piece : few) {
    std::int64_t seen_here = 0, position = 0;
    for (const std::int64_t e : pieces_->Elements(piece)) {
      ++position;
      if (differs(e) && ++seen_here <= kSomeMismatches) most = std::max(most, position);
    }
  }
  for (const std::int64_t piece : few) {
    const std::vector<std::int64_t> elements = pieces_->Elements(piece);
    const std::int64_t counted = std::min(most, std::ssize(elements));
    mismatches += std::count_if(elements.begin(), elements.begin() + counted, differs);
  }
  const std::int64_t work = count * std::min(most, per_piece) * pieces_->Work();
  const std::vector<std::int64_t> many = some(
      std::clamp<std::int64_t>(kMostWork / (work * std::int64_t{kTriedAgain}), 1, kAgain) * count);

  using Steps = std::vector<InnerStep>;
  const auto gain_of = [&](const Steps& steps, std::int64_t piece) {
    Inner inner(steps);
    return GainOf(pieces_->Elements(piece), pieces_->Run(op, piece, inner, most), range(), golden(),
                  actual());
  };
  // In the pieces where it gains anything: two rules may share them.
  const auto gain_in = [&](const Steps& steps, const std::vector<std::int64_t>& pieces) {
    std::int64_t gain = 0;
    for (const std::int64_t piece : pieces)
      gain += std::max<std::int64_t>(gain_of(steps, piece), 0);
    return gain;
  };
  struct Tried {
    Steps steps;
    std::int64_t gain = 0, broken = 0;
    int Cost() const { return steps.front().cost + 2 * static_cast<int>(steps.size() - 1); }
  };
  std::vector<Tried> tried;
  const auto best_first = [](const Tried& a, const Tried& b) {
    if (a.gain != b.gain) return a.gain > b.gain;
    return a.broken != b.broken ? a.broken < b.broken : a.Cost() < b.Cost();
  };
  const auto for_each = [&](std::size_t size, const auto& call) {
    ParallelFor(static_cast<std::int64_t>(size), threads_,
                [&](std::int64_t i, int) { call(static_cast<std::size_t>(i)); });
  };
  // Those that gain more than this, and a tenth of the mismatches: each may be one of several
  // rules.
  const auto try_all = [&](std::vector<Steps> all, std::int64_t more_than) {
    std::vector<std::int64_t> gains(all.size());
    for_each(all.size(), [&](std::size_t i) { gains[i] = gain_in(all[i], few); });
    for (std::size_t i = 0; i < all.size(); ++i)
      if (gains[i] > more_than && gains[i] * 10 >= mismatches)
        tried.push_back({std::move(all[i]), gains[i]});
    std::stable_sort(tried.begin(), tried.end(), best_first);
  };
  std::vector<AskedStep> asked;
  for (const std::int64_t piece : few) {
    Inner inner(&asked);
    pieces_->Run(op, piece, inner);
  }
  const Steps singles = AlternativesOf(asked, shape().back());
  std::vector<Steps> alone;
  for (const InnerStep& step : singles) alone.push_back({step});
  try_all(std::move(alone), 0);
  // Two steps at once, where none does alone.
  const std::int64_t best = tried.empty() ? 0 : tried.front().gain;
  if (best * 20 < mismatches * 19) {
    Steps whole;  // of what concerns all of a row; without numbers where there are too many
    for (const bool numbers : {true, false}) {
      whole.clear();
      for (const InnerStep& step : singles)
        if (step.how != InnerStep::How::kFirst && step.how != InnerStep::How::kTiles &&
            (numbers || step.number == 0))
          whole.push_back(step);
      if (std::ssize(whole) * std::ssize(whole) / 2 * work <= kMostWork) break;
    }
    if (std::ssize(whole) * std::ssize(whole) / 2 * work > kMostWork) whole.clear();
    std::vector<Steps> pairs;
    for (std::size_t i = 0; i < whole.size(); ++i)
      for (std::size_t j = i + 1; j < whole.size(); ++j)
        if (whole[i].site != whole[j].site) pairs.push_back({whole[i], whole[j]});
    try_all(std::move(pairs), best);
  }
  if (tried.size() > kTriedAgain) tried.resize(kTriedAgain);
  // Numbers that do the same where there are mismatches may differ where there are none.
  std::vector<std::int64_t> others;
  const std::int64_t stride = std::max<std::int64_t>(pieces_->Count() / (count * kAgain), 1);
  for (std::int64_t piece = 0; piece < pieces_->Count(); piece += stride) others.push_back(piece);
  for_each(tried.size(), [&](std::size_t i) {
    Tried& one = tried[i];
    one.gain = gain_in(one.steps, many);
    for (const std::int64_t piece : others)
      one.broken -= std::min<std::int64_t>(gain_of(one.steps, piece), 0);
  });
  std::stable_sort(tried.begin(), tried.end(), best_first);
  const auto kept = static_cast<std::size_t>(
      std::clamp<std::int64_t>(2 * kMostWork / (size() * pieces_->Work()), 2, std::int64_t{kKept}));
  if (tried.size() > kept) tried.resize(kept);
  for (Tried& one : tried) {
    std::string id, phrase;
    std::int64_t freedom = 0;
    for (const InnerStep& step : one.steps) {
      id += (id.empty() ? "" : "+") + step.id;
      phrase += (phrase.empty() ? "" : ", and ") + step.phrase;
      freedom += step.number != 0 && step.how != InnerStep::How::kBits ? 1 : 0;
    }
    Add("steps", {Change::What::kStep, "", std::ssize(steps_)}, id, phrase, one.Cost(), freedom);
    steps_.push_back(std::move(one.steps));
  }
}

}  // namespace qsim::explain
