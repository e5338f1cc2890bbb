#include "sim/explain/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/explain/candidates.h"
#include "sim/explain/mixture.h"
#include "sim/parallel.h"

namespace qsim::explain {
namespace {

constexpr std::size_t kCounted = 48;          // hypotheses counted on the whole tensor, at most
constexpr std::size_t kCountedPerGroup = 24;  // of those that the sample cannot tell apart
constexpr double kWholeTensorBudget = 1e8;  // requantizations, so that it stays a matter of seconds
constexpr std::size_t kFindings = 10;
constexpr std::size_t kTies = 24;
constexpr std::size_t kDifferences = 7;
// A hypothesis explains a tensor when its net gain is at least this share of the mismatches; one
// that is far-fetched, or several in a tensor, these.
constexpr double kExplains = 0.5;
constexpr double kExplainsFarFetched = 0.8;
constexpr double kExplainsInParts = 0.9;
constexpr double kNearlyAll = 0.95;
constexpr std::int64_t kManyNumbers = 8;  // solved from the data, which fit much that is no rule
constexpr int kPlain = 3;  // the cost of a hypothesis that is not far-fetched, at most

// A candidate counted over the whole tensor.
struct Counted {
  Candidate candidate;  // its tally exact
  std::uint64_t outputs = 0;
  std::int64_t changed = 0;  // elements where it differs from the golden rule
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
    if (out[e] != comparison.expected()[e]) ++counted.changed;
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
  const auto affordable = static_cast<std::size_t>(std::max(3.0, kWholeTensorBudget / one));
  const std::size_t limit = std::min(kCounted, affordable);
  std::map<std::uint64_t, std::size_t> per_group;
  std::vector<const Candidate*> chosen;
  for (const Candidate& candidate : candidates) {
    if (chosen.size() == limit) break;
    // By the sample it breaks what it explains: no finding, where counting takes a second each.
    if (limit < kCounted && candidate.tally.net() <= 0) continue;
    if (++per_group[candidate.signature] > kCountedPerGroup) continue;
    chosen.push_back(&candidate);
  }
  std::vector<Counted> counted(chosen.size());
  ParallelFor(std::ssize(chosen), comparison.threads(), [&](std::int64_t i, int) {
    const auto at = static_cast<std::size_t>(i);
    counted[at] = CountWhole(comparison, *chosen[at]);
  });
  // What breaks something is not the rule where another, of no more than two numbers, gives
  // everything.
  constexpr std::size_t kMany = 16;
  const auto gives_all = [&](const Candidate& candidate) {
    const std::size_t mismatches = comparison.mismatches().size();
    return mismatches >= kMany && candidate.freedom <= 2 &&
           comparison.model().Changes(candidate.point) == 1 &&
           candidate.tally.net() == static_cast<double>(mismatches);
  };
  std::stable_sort(counted.begin(), counted.end(), [&](const Counted& a, const Counted& b) {
    const bool all_a = gives_all(a.candidate);
    const bool all_b = gives_all(b.candidate);
    if (all_a != all_b) return all_a;
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

// A rule that rarely differs from the golden one, beside mismatches that nothing explains: right
// nearly everywhere it differs, however few of the mismatches that are.
const Counted* RareRule(const Comparison& comparison, const std::vector<Counted>& counted) {
  constexpr double kRight = 0.9;
  constexpr double kLeast = 30;
  constexpr double kNoise = 0.05;  // of all elements, at most, that are left
  const auto mismatches = static_cast<double>(comparison.mismatches().size());
  for (const Counted& rule : counted) {
    const double explained = rule.candidate.tally.explained;
    if (rule.candidate.cost > kPlain || rule.candidate.freedom > 1 || explained < kLeast) continue;
    if (explained < kRight * static_cast<double>(rule.changed)) continue;
    if (mismatches - explained <= kNoise * static_cast<double>(comparison.model().size()))
      return &rule;
  }
  return nullptr;
}

// "at head 1, row 3, channel 4"
std::string PlaceOf(std::int64_t element, const Model& model) {
  std::string place;
  for (const Feature& feature : model.Features()) {
    if (feature.of == Feature::Of::kAxis)
      place += fmt::format("{}{} {}", place.empty() ? "at " : ", ", feature.name,
                           feature.bucket_of(element));
  }
  return place;
}

// Whether every output is the floor or the ceil of its exact value; and how many were rounded up,
// by the fraction, a line each.
std::optional<std::vector<std::string>> FloorOrCeil(const Comparison& comparison) {
  constexpr int kBins = 8;
  constexpr double kAll = 0.999;
  std::int64_t up[kBins] = {};
  std::int64_t all[kBins] = {};
  std::int64_t either = 0;
  const Model& model = comparison.model();
  for (std::int64_t e = 0; e < model.size(); ++e) {
    const auto at = static_cast<std::size_t>(e);
    const std::int64_t actual = comparison.actual()[at];
    const std::optional<ExactValue> exact = model.Exact(e);
    if (!exact) return std::nullopt;
    const bool ceil = exact->fraction > 0 && actual == exact->floor + 1;
    if (ceil || actual == exact->floor || actual == comparison.expected()[at]) ++either;
    if (exact->fraction == 0 || (!ceil && actual != exact->floor)) continue;
    const int bin = static_cast<int>(exact->fraction * kBins);
    ++all[bin];
    up[bin] += ceil ? 1 : 0;
  }
  if (static_cast<double>(either) < kAll * static_cast<double>(model.size())) return std::nullopt;
  std::vector<std::string> lines;
  for (int bin = 0; bin < kBins; ++bin) {
    if (all[bin] != 0)
      lines.push_back(
          fmt::format("rounded up where the fraction is {:.3f} to {:.3f}: {:.1f} %",
                      static_cast<double>(bin) / kBins, static_cast<double>(bin + 1) / kBins,
                      100.0 * static_cast<double>(up[bin]) / static_cast<double>(all[bin])));
  }
  return lines;
}

}  // namespace

Explanation Explain(const Model& model, std::span<const std::int64_t> actual, std::string name,
                    std::string golden, int threads) {
  const Comparison comparison(model, actual, threads);
  Explanation result;
  result.name = std::move(name);
  result.golden = std::move(golden);
  result.elements = model.size();
  result.mismatches = static_cast<std::int64_t>(comparison.mismatches().size());
  if (result.mismatches == 0) return result;
  result.differences = CommonDifferences(comparison);
  result.verdict = Explanation::Verdict::kUnexplained;
  const std::optional<Where> where = FindWhere(comparison);
  if (where) {
    result.where = where->words;
    result.inside = where->inside;
  }

  // An operation that takes longer is tried on fewer elements.
  const double share = std::min(1.0, 16 / model.Cost());
  const auto some = [share](double count) {
    return static_cast<std::int64_t>(std::max(count * share, 256.0));
  };
  const Sample sample(comparison, some(4096), some(2048), some(2048));
  const std::vector<Candidate> candidates = FindCandidates(comparison, sample);
  const std::vector<Counted> counted = CountBest(comparison, candidates);
  for (std::size_t i = 0; i < std::min(kFindings, counted.size()); ++i) {
    // What breaks as much as it explains is none.
    if (counted[i].candidate.tally.net() > 0)
      result.findings.push_back(FindingOf(model, counted[i].candidate));
  }

  const double all = static_cast<double>(result.mismatches);
  double score = 0;
  double net = 0;
  constexpr double kMany = 64;  // mismatches that two numbers do not explain by chance
  bool final = false;           // a rule of few numbers gives everything
  if (!counted.empty()) {
    const Candidate& best = counted.front().candidate;
    score = Score(comparison, best);
    const double least = best.freedom > kManyNumbers ? kNearlyAll
                         : best.cost > kPlain        ? kExplainsFarFetched
                                                     : kExplains;
    if (best.tally.net() >= least * all) {
      net = best.tally.net();
      final = net == all && (best.freedom < 2 || (best.freedom == 2 && all >= kMany));
      result.verdict = Explanation::Verdict::kExplained;
      result.explained = result.findings[0].explained;
      result.broken = result.findings[0].broken;
      result.freedom = best.freedom + (best.cost > kPlain ? 1 : 0);
      result.ties = TiesOf(model, counted);
    }
  }
  if (!final) {
    const std::optional<Mixture> regions = FindRegions(comparison, sample, candidates, where);
    const double gain = regions ? static_cast<double>(regions->explained - regions->broken) : 0;
    // Parts that explain less than one rule with few numbers are none.
    const bool enough = gain >= kExplainsInParts * all && (result.freedom > 3 || gain >= net);
    if (regions && enough &&
        gain - Penalty(comparison, regions->cost) - static_cast<double>(regions->freedom) > score) {
      net = gain;
      result.verdict = Explanation::Verdict::kRegions;
      result.explained = regions->explained;
      result.broken = regions->broken;
      result.parts = regions->parts;
      result.freedom = regions->freedom + 1;
      result.ties.clear();
    }
  }
  // One rule that nearly all follow is better than none.
  constexpr double kSomeMismatches = 8;  // fewer are no distribution
  if (net < std::min(kNearlyAll * all, all - 1) && all >= kSomeMismatches) {
    if (std::optional<std::vector<std::string>> lines = FloorOrCeil(comparison)) {
      result.verdict = Explanation::Verdict::kUnexplained;
      result.explained = result.broken = result.freedom = 0;
      result.parts.clear();
      result.ties.clear();
      result.findings.clear();
      result.floor_or_ceil = true;
      result.observations = std::move(*lines);
    }
  }
  if (result.verdict == Explanation::Verdict::kUnexplained && !result.floor_or_ceil) {
    if (const Counted* rare = RareRule(comparison, counted)) {
      result.verdict = Explanation::Verdict::kExplained;
      const Finding finding = FindingOf(model, rare->candidate);
      std::erase_if(result.findings, [&](const Finding& other) { return other.id == finding.id; });
      result.findings.insert(result.findings.begin(), finding);
      result.explained = finding.explained;
      result.broken = finding.broken;
      result.freedom = rare->candidate.freedom;
    }
  }
  if (result.verdict == Explanation::Verdict::kUnexplained) {
    if (result.mismatches == 1) result.where = PlaceOf(comparison.mismatches()[0], model);
    for (std::string& line : model.Observe(comparison.mismatches()))
      result.observations.push_back(std::move(line));
    if (where)
      result.observations.push_back(fmt::format(
          "{} of {} mismatches are {}, where {:.1f} % of all elements are", where->inside,
          result.mismatches, where->words,
          100.0 * static_cast<double>(where->elements) / static_cast<double>(model.size())));
  }
  return result;
}

}  // namespace qsim::explain
