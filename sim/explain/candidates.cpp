#include "sim/explain/candidates.h"

#include <algorithm>
#include <set>

#include "sim/parallel.h"

namespace qsim::explain {
namespace {

constexpr std::size_t kBestSingles = 16;   // combined with every choice, not only the core
constexpr std::size_t kPairsRefined = 96;  // taken from the coarse sample to the fine one
constexpr std::size_t kBestPairs = 8;      // extended to triples

std::uint64_t SignatureOf(std::span<const std::uint8_t> agreement) {
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a
  for (const std::uint8_t bit : agreement) hash = (hash ^ bit) * 1099511628211ULL;
  return hash;
}

class Finder {
 public:
  Finder(const Comparison& comparison, const Sample& sample)
      : comparison_(comparison),
        sample_(sample),
        coarse_(comparison, Some(comparison, 384), Some(comparison, 192), Some(comparison, 192)) {}

  std::vector<Candidate> Find() {
    std::vector<Candidate> singles = Singles();
    Sort(singles);
    std::vector<Candidate> all = singles;
    if (Perfect(singles)) return all;
    std::vector<Candidate> pairs = Pairs(singles);
    Append(all, pairs);
    if (!Perfect(pairs)) Append(all, Triples(pairs));
    Sort(all);
    return all;
  }

 private:
  const Model& model() const { return comparison_.model(); }
  // Fewer of an operation that takes long.
  static std::int64_t Some(const Comparison& comparison, double count) {
    return static_cast<std::int64_t>(count * std::min(1.0, 100 / comparison.model().Cost()));
  }

  bool Perfect(const std::vector<Candidate>& sorted) const {
    return !sorted.empty() &&
           sorted[0].tally.explained >=
               static_cast<double>(comparison_.mismatches().size()) - 0.5 &&
           sorted[0].tally.broken == 0;
  }

  std::vector<Candidate> TryAll(const std::vector<Hypothesis>& points, const Sample& sample) const {
    std::vector<Candidate> list(points.size());
    ParallelFor(std::ssize(points), comparison_.threads(), [&](std::int64_t i, int) {
      const auto at = static_cast<std::size_t>(i);
      list[at] = Try(points[at], sample);
    });
    return list;
  }

  Candidate Try(const Hypothesis& point, const Sample& sample) const {
    const std::vector<std::int64_t> outputs = sample.Outputs(point);
    const std::vector<std::uint8_t> agreement = sample.AgreementOf(outputs);
    Candidate candidate = {point, model().CostOf(point), model().FreedomOf(point),
                           sample.TallyOf(agreement), SignatureOf(agreement)};
    // What turns everything into one value explains nothing, unless it says just that.
    const bool stated = model().Changes(point) == 1 && point.back() != 0;
    if (!stated && IsConstant(outputs)) candidate.tally.explained = 0;
    return candidate;
  }

  static bool IsConstant(std::span<const std::int64_t> outputs) {
    if (outputs.size() < 16) return false;
    std::vector<std::int64_t> sorted(outputs.begin(), outputs.end());
    std::sort(sorted.begin(), sorted.end());
    // Nearly all are the one in the middle.
    const std::int64_t middle = sorted[sorted.size() / 2];
    const auto [from, to] = std::equal_range(sorted.begin(), sorted.end(), middle);
    return static_cast<std::size_t>(to - from) * 50 >= sorted.size() * 49;
  }

  void Sort(std::vector<Candidate>& list) const {
    std::stable_sort(list.begin(), list.end(), [this](const Candidate& a, const Candidate& b) {
      const double score_a = Score(comparison_, a);
      const double score_b = Score(comparison_, b);
      return score_a != score_b ? score_a > score_b : a.cost < b.cost;
    });
  }

  static void Append(std::vector<Candidate>& all, const std::vector<Candidate>& more) {
    all.insert(all.end(), more.begin(), more.end());
  }

  std::vector<Candidate> Singles() const {
    std::vector<Hypothesis> points;
    for (std::size_t c = 0; c < model().coordinates().size(); ++c) {
      for (std::size_t k = 1; k < model().coordinates()[c].choices.size(); ++k) {
        Hypothesis point = model().Golden();
        point[c] = static_cast<std::uint16_t>(k);
        points.push_back(std::move(point));
      }
    }
    return TryAll(points, sample_);
  }

  // The points that differ from `base` in one more coordinate.
  std::vector<Hypothesis> Extensions(const Hypothesis& base, bool core_only) const {
    std::vector<Hypothesis> list;
    for (std::size_t c = 0; c < base.size(); ++c) {
      if (base[c] != 0) continue;
      const std::vector<Choice>& choices = model().coordinates()[c].choices;
      for (std::size_t k = 1; k < choices.size(); ++k) {
        if (core_only && !choices[k].core) continue;
        Hypothesis point = base;
        point[c] = static_cast<std::uint16_t>(k);
        list.push_back(std::move(point));
      }
    }
    return list;
  }

  // The best of the points by the coarse sample, then sorted by the fine one.
  std::vector<Candidate> Best(const std::set<Hypothesis>& points) const {
    std::vector<Candidate> list = TryAll({points.begin(), points.end()}, coarse_);
    Sort(list);
    if (list.size() > kPairsRefined) list.resize(kPairsRefined);
    std::vector<Hypothesis> refined;
    for (Candidate& candidate : list) refined.push_back(std::move(candidate.point));
    list = TryAll(refined, sample_);
    Sort(list);
    return list;
  }

  std::vector<Candidate> Pairs(const std::vector<Candidate>& singles) const {
    std::set<Hypothesis> points;
    for (const Hypothesis& core : Extensions(model().Golden(), true))
      for (Hypothesis& pair : Extensions(core, true)) points.insert(std::move(pair));
    for (std::size_t i = 0; i < std::min(kBestSingles, singles.size()); ++i)
      for (Hypothesis& pair : Extensions(singles[i].point, false)) points.insert(std::move(pair));
    return Best(points);
  }

  std::vector<Candidate> Triples(const std::vector<Candidate>& pairs) const {
    std::set<Hypothesis> points;
    for (std::size_t i = 0; i < std::min(kBestPairs, pairs.size()); ++i)
      for (Hypothesis& triple : Extensions(pairs[i].point, true)) points.insert(std::move(triple));
    return Best(points);
  }

  const Comparison& comparison_;
  const Sample& sample_;
  Sample coarse_;
};

}  // namespace

double Penalty(const Comparison& comparison, int cost) {
  const double mismatches = static_cast<double>(comparison.mismatches().size());
  return 0.5 * cost * std::max(1.0, 0.00025 * mismatches);
}

std::vector<Candidate> FindCandidates(const Comparison& comparison, const Sample& sample) {
  return Finder(comparison, sample).Find();
}

}  // namespace qsim::explain
