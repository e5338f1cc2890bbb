#include "sim/explain/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/explain/candidates.h"
#include "sim/explain/mixture.h"

namespace qsim::explain {
namespace {

constexpr std::size_t kCounted = 48;          // hypotheses counted on the whole tensor, at most
constexpr std::size_t kCountedPerGroup = 12;  // of those that the sample cannot tell apart
constexpr double kWholeTensorBudget = 1e8;  // requantizations, so that it stays a matter of seconds
constexpr std::size_t kFindings = 10;
constexpr std::size_t kTies = 12;
constexpr std::size_t kDifferences = 7;
// A hypothesis explains a tensor when its net gain is at least this share of the mismatches.
constexpr double kExplains = 0.5;

// A candidate counted over the whole tensor.
struct Counted {
  Candidate candidate;  // its tally exact
  std::uint64_t outputs = 0;
};

std::uint64_t HashOf(std::span<const std::int64_t> values) {
  std::uint64_t hash = 1469598103934665603ULL;
  for (const std::int64_t value : values) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 1099511628211ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

Counted CountWhole(const Comparison& comparison, const Candidate& candidate) {
  const std::vector<std::int64_t> out = comparison.Outputs(candidate.point);
  Counted counted{candidate, HashOf(out)};
  counted.candidate.tally = {};
  for (std::size_t e = 0; e < out.size(); ++e) {
    const bool agrees = out[e] == comparison.actual()[e];
    const bool mismatch = comparison.Mismatch(static_cast<std::int64_t>(e));
    if (mismatch && agrees) counted.candidate.tally.explained += 1;
    if (!mismatch && !agrees) counted.candidate.tally.broken += 1;
  }
  return counted;
}

// Whether `more` has every change of `less`, and others.
bool Extends(const Hypothesis& more, const Hypothesis& less) {
  for (std::size_t i = 0; i < less.size(); ++i)
    if (less[i] != 0 && more[i] != less[i]) return false;
  return more != less;
}

// Drops hypotheses that only add changes without an effect to a better one.
void DropIdle(std::vector<Counted>& sorted) {
  std::vector<Counted> kept;
  for (Counted& counted : sorted) {
    const bool idle = std::any_of(kept.begin(), kept.end(), [&](const Counted& better) {
      return better.outputs == counted.outputs &&
             Extends(counted.candidate.point, better.candidate.point);
    });
    if (!idle) kept.push_back(std::move(counted));
  }
  sorted = std::move(kept);
}

std::vector<Counted> CountBest(const Comparison& comparison,
                               const std::vector<Candidate>& candidates) {
  const double one = comparison.model().Cost() * static_cast<double>(comparison.model().size());
  const auto affordable = static_cast<std::size_t>(std::max(6.0, kWholeTensorBudget / one));
  const std::size_t limit = std::min(kCounted, affordable);
  std::map<std::uint64_t, std::size_t> per_group;
  std::vector<Counted> counted;
  for (const Candidate& candidate : candidates) {
    if (counted.size() == limit) break;
    if (++per_group[candidate.signature] > kCountedPerGroup) continue;
    counted.push_back(CountWhole(comparison, candidate));
  }
  std::stable_sort(counted.begin(), counted.end(), [&](const Counted& a, const Counted& b) {
    const double score_a = Score(comparison, a.candidate);
    const double score_b = Score(comparison, b.candidate);
    return score_a != score_b ? score_a > score_b : a.candidate.cost < b.candidate.cost;
  });
  DropIdle(counted);
  return counted;
}

Finding FindingOf(const Model& model, const Candidate& candidate) {
  return {model.IdOf(candidate.point),
          model.PhraseOf(candidate.point),
          model.PublishedOf(candidate.point),
          model.Changes(candidate.point),
          static_cast<std::int64_t>(candidate.tally.explained),
          static_cast<std::int64_t>(candidate.tally.broken)};
}

// The others that give the best one's outputs and are hardly more far-fetched.
std::vector<Tie> TiesOf(const Model& model, const std::vector<Counted>& counted) {
  std::vector<Tie> ties;
  const Counted& best = counted.front();
  for (std::size_t i = 1; i < counted.size() && ties.size() < kTies; ++i) {
    const Candidate& other = counted[i].candidate;
    if (counted[i].outputs != best.outputs || other.cost > best.candidate.cost + 1) continue;
    ties.push_back({model.IdOf(other.point), model.PhraseOf(other.point),
                    model.Separate(best.candidate.point, other.point)});
  }
  return ties;
}

std::map<std::int64_t, std::int64_t> CommonDifferences(const Comparison& comparison) {
  std::map<std::int64_t, std::int64_t> all;
  for (const std::int64_t e : comparison.mismatches()) {
    const auto at = static_cast<std::size_t>(e);
    ++all[comparison.actual()[at] - comparison.expected()[at]];
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> ranked;
  for (const auto& [difference, count] : all) ranked.emplace_back(-count, difference);
  std::sort(ranked.begin(), ranked.end());
  std::map<std::int64_t, std::int64_t> common;
  for (std::size_t i = 0; i < std::min(kDifferences, ranked.size()); ++i)
    common[ranked[i].second] = -ranked[i].first;
  return common;
}

// Where the mismatches are far denser than the elements are.
std::vector<std::string> Concentrations(const Comparison& comparison) {
  std::vector<std::string> lines;
  const double mismatches = static_cast<double>(comparison.mismatches().size());
  const double elements = static_cast<double>(comparison.model().size());
  for (const Feature& feature : comparison.model().Features()) {
    if (feature.kind != Feature::Kind::kIndex || feature.buckets < 2) continue;
    std::vector<std::int64_t> all(static_cast<std::size_t>(feature.buckets));
    std::vector<std::int64_t> differing(all.size());
    for (std::int64_t e = 0; e < comparison.model().size(); ++e) {
      const auto bucket = static_cast<std::size_t>(feature.bucket_of(e));
      ++all[bucket];
      if (comparison.Mismatch(e)) ++differing[bucket];
    }
    const auto most = std::max_element(differing.begin(), differing.end());
    const auto at = static_cast<std::size_t>(most - differing.begin());
    const double share = static_cast<double>(*most) / mismatches;
    const double even = static_cast<double>(all[at]) / elements;
    if (share < 4 * even || share < 0.05) continue;
    lines.push_back(fmt::format("in {} {}: {:.1f} % (of all elements: {:.1f} %)", feature.name, at,
                                100 * share, 100 * even));
  }
  return lines;
}

}  // namespace

Explanation Explain(const Model& model, std::span<const std::int64_t> actual, std::string name,
                    std::string golden) {
  const Comparison comparison(model, actual);
  Explanation result;
  result.name = std::move(name);
  result.golden = std::move(golden);
  result.elements = model.size();
  result.mismatches = static_cast<std::int64_t>(comparison.mismatches().size());
  if (result.mismatches == 0) return result;
  result.differences = CommonDifferences(comparison);
  result.verdict = Explanation::Verdict::kUnexplained;

  const Sample sample(comparison, 4096, 2048, 2048);
  const std::vector<Candidate> candidates = FindCandidates(comparison, sample);
  const std::vector<Counted> counted = CountBest(comparison, candidates);
  for (std::size_t i = 0; i < std::min(kFindings, counted.size()); ++i) {
    if (counted[i].candidate.tally.explained > 0)
      result.findings.push_back(FindingOf(model, counted[i].candidate));
  }

  const double all = static_cast<double>(result.mismatches);
  double score = 0;
  double explained = 0;
  bool perfect = false;
  if (!counted.empty()) {
    const Tally& best = counted.front().candidate.tally;
    score = Score(comparison, counted.front().candidate);
    explained = best.explained;
    perfect = best.explained == all && best.broken == 0;
    if (best.net() >= kExplains * all) {
      result.verdict = Explanation::Verdict::kExplained;
      result.explained = result.findings[0].explained;
      result.broken = result.findings[0].broken;
      result.ties = TiesOf(model, counted);
    }
  }
  if (!perfect) {
    const auto take = [&](Explanation::Verdict verdict, const Mixture& mixture) {
      result.verdict = verdict;
      result.explained = mixture.explained;
      result.broken = mixture.broken;
      result.parts = mixture.parts;
      result.ties.clear();
    };
    const std::optional<Mixture> regions = FindRegions(comparison, sample, candidates);
    const auto net = [](const Mixture& m) { return static_cast<double>(m.explained - m.broken); };
    if (regions && net(*regions) >= kExplains * all &&
        net(*regions) - Penalty(comparison, regions->cost) > score) {
      take(Explanation::Verdict::kRegions, *regions);
      explained = static_cast<double>(regions->explained);
    }
    constexpr double kWorthIt = 0.02;
    const bool partly =
        result.verdict == Explanation::Verdict::kUnexplained || explained < (1 - kWorthIt) * all;
    if (partly) {
      const std::optional<Mixture> cover = FindCover(comparison, sample, candidates);
      if (cover && (result.verdict == Explanation::Verdict::kUnexplained ||
                    static_cast<double>(cover->explained) > explained + kWorthIt * all))
        take(Explanation::Verdict::kCovered, *cover);
    }
  }
  if (result.verdict == Explanation::Verdict::kUnexplained) {
    result.observations = model.Observe(comparison.mismatches());
    for (std::string& line : Concentrations(comparison))
      result.observations.push_back(std::move(line));
  }
  return result;
}

}  // namespace qsim::explain
