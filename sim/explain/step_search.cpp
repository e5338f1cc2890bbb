#include "sim/explain/step_search.h"

#include <algorithm>
#include <set>

#include "sim/explain/hypotheses.h"
#include "sim/parallel.h"

namespace qsim::explain {
namespace {

using Steps = std::vector<InnerStep>;
using Pieces = std::vector<std::int64_t>;

constexpr std::int64_t kFirstElements = 1 << 14;  // that a step is tried on first, about
constexpr std::int64_t kPieces = 12;
constexpr std::int64_t kAgain = 8;  // what gains there, on so many times as much
constexpr std::size_t kTriedAgain = 64;
constexpr std::int64_t kMostSteps = 24;
constexpr std::int64_t kEnoughMismatches = 256;
// Steps of work that one attempt takes, and what all of a kind may take.
constexpr std::int64_t kMostAttempt = 1 << 22;
constexpr std::int64_t kMostOfAKind = 1 << 26;

struct Tried {
  Steps steps;
  std::int64_t gain = 0, broken = 0;
};

bool BestFirst(const Tried& a, const Tried& b) {
  if (a.gain != b.gain) return a.gain > b.gain;
  return a.broken != b.broken ? a.broken < b.broken : CostOfSteps(a.steps) < CostOfSteps(b.steps);
}

class StepSearch {
 public:
  explicit StepSearch(const StepSubject& subject)
      : s_(subject),
        size_(std::ssize(subject.golden)),
        per_piece_(std::max<std::int64_t>(size_ / subject.pieces.Count(), 1)),
        count_(std::clamp<std::int64_t>(kFirstElements / per_piece_, 2, kPieces)) {
    std::set<std::int64_t> seen;
    for (const std::int64_t e : s_.some_mismatches(static_cast<std::size_t>(16 * count_ * kAgain)))
      if (seen.insert(s_.pieces.PieceOf(e)).second) order_.push_back(s_.pieces.PieceOf(e));
    few_ = EvenlySpread(order_, count_);
    SetMost();
    work_ = count_ * std::min(most_, per_piece_) * s_.pieces.Work();
  }

  std::vector<Steps> Find() {
    const Steps singles = Singles();
    std::vector<Steps> alone;
    for (const InnerStep& step : singles) alone.push_back({step});
    TryAll(std::move(alone), 0);
    const std::int64_t best = tried_.empty() ? 0 : tried_.front().gain;
    if (best * 20 < mismatches_ * 19) TryAll(PairsOf(singles), best);
    if (tried_.size() > kTriedAgain) tried_.resize(kTriedAgain);
    TryAgain();
    const std::int64_t kept =
        std::clamp<std::int64_t>(2 * kMostOfAKind / (size_ * s_.pieces.Work()), 2, kMostSteps);
    std::vector<Steps> found;
    for (Tried& one : tried_)
      if (std::ssize(found) < kept) found.push_back(std::move(one.steps));
    return found;
  }

 private:
  bool Differs(std::int64_t e) const {
    return s_.golden[static_cast<std::size_t>(e)] != s_.actual[static_cast<std::size_t>(e)];
  }

  // How much of a piece is run: of a long sequence as far as there are some mismatches.
  void SetMost() {
    most_ = kMostAttempt / (count_ * s_.pieces.Work());
    const auto differs = [this](std::int64_t e) { return Differs(e); };
    for (const std::int64_t piece : few_) {
      std::int64_t seen = 0, position = 0;
      for (const std::int64_t e : s_.pieces.Elements(piece)) {
        ++position;
        if (Differs(e) && ++seen <= kEnoughMismatches) most_ = std::max(most_, position);
      }
    }
    for (const std::int64_t piece : few_) {
      const std::vector<std::int64_t> elements = s_.pieces.Elements(piece);
      const std::int64_t counted = std::min(most_, std::ssize(elements));
      mismatches_ += std::count_if(elements.begin(), elements.begin() + counted, differs);
    }
  }

  Steps Singles() const {
    std::vector<AskedStep> asked;
    for (const std::int64_t piece : few_) {
      Inner inner(&asked);
      s_.pieces.Run(s_.op, piece, inner);
    }
    return AlternativesOf(asked, s_.width);
  }

  // Of what concerns all of a row; without numbers where there are too many, or none.
  std::vector<Steps> PairsOf(const Steps& singles) const {
    Steps whole;
    const auto affordable = [&] {
      return std::ssize(whole) * std::ssize(whole) / 2 * work_ <= kMostOfAKind;
    };
    for (const bool numbers : {true, false}) {
      whole.clear();
      for (const InnerStep& step : singles)
        if (step.how != InnerStep::How::kFirst && step.how != InnerStep::How::kTiles &&
            (numbers || step.number == 0))
          whole.push_back(step);
      if (affordable()) break;
    }
    std::vector<Steps> pairs;
    if (!affordable()) return pairs;
    for (std::size_t i = 0; i < whole.size(); ++i)
      for (std::size_t j = i + 1; j < whole.size(); ++j)
        if (whole[i].site != whole[j].site) pairs.push_back({whole[i], whole[j]});
    return pairs;
  }

  template <typename Call>
  void ForEach(std::size_t size, const Call& call) const {
    ParallelFor(static_cast<std::int64_t>(size), s_.threads,
                [&](std::int64_t i, int) { call(static_cast<std::size_t>(i)); });
  }

  // Of a piece, or of its first elements: what the results gain over the golden ones, less what
  // they break.
  std::int64_t GainOf(const Steps& steps, std::int64_t piece) const {
    Inner inner(steps);
    const std::vector<std::int64_t> elements = s_.pieces.Elements(piece);
    const std::vector<std::int64_t> results = s_.pieces.Run(s_.op, piece, inner, most_);
    std::int64_t gain = 0;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::int64_t actual = s_.actual[static_cast<std::size_t>(elements[i])];
      const bool agrees = std::clamp(results[i], s_.range.qmin, s_.range.qmax) == actual;
      gain += (agrees ? 1 : 0) - (Differs(elements[i]) ? 0 : 1);
    }
    return gain;
  }
  // In the pieces where it gains anything: two rules may share them.
  std::int64_t GainIn(const Steps& steps, const Pieces& pieces) const {
    std::int64_t gain = 0;
    for (const std::int64_t piece : pieces) gain += std::max<std::int64_t>(GainOf(steps, piece), 0);
    return gain;
  }

  // Those that gain more than this, and a tenth of the mismatches: each may be one of several
  // rules.
  void TryAll(std::vector<Steps> all, std::int64_t more_than) {
    std::vector<std::int64_t> gains(all.size());
    ForEach(all.size(), [&](std::size_t i) { gains[i] = GainIn(all[i], few_); });
    for (std::size_t i = 0; i < all.size(); ++i)
      if (gains[i] > more_than && gains[i] * 10 >= mismatches_)
        tried_.push_back({std::move(all[i]), gains[i]});
    std::stable_sort(tried_.begin(), tried_.end(), BestFirst);
  }

  // On more pieces; and numbers that do the same where there are mismatches may differ where there
  // are none.
  void TryAgain() {
    const std::int64_t times = std::clamp<std::int64_t>(
        kMostOfAKind / (work_ * static_cast<std::int64_t>(kTriedAgain)), 1, kAgain);
    const Pieces many = EvenlySpread(order_, times * count_);
    const std::int64_t stride = std::max<std::int64_t>(s_.pieces.Count() / (count_ * kAgain), 1);
    ForEach(tried_.size(), [&](std::size_t i) {
      Tried& one = tried_[i];
      one.gain = GainIn(one.steps, many);
      for (std::int64_t piece = 0; piece < s_.pieces.Count(); piece += stride)
        one.broken -= std::min<std::int64_t>(GainOf(one.steps, piece), 0);
    });
    std::stable_sort(tried_.begin(), tried_.end(), BestFirst);
  }

  const StepSubject& s_;
  std::int64_t size_, per_piece_, count_;
  std::int64_t most_ = 0, mismatches_ = 0, work_ = 0;
  Pieces order_, few_;  // with mismatches
  std::vector<Tried> tried_;
};

}  // namespace

std::vector<Steps> FindSteps(const StepSubject& subject) { return StepSearch(subject).Find(); }

}  // namespace qsim::explain
