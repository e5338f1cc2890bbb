#include "sim/explain/mixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace qsim::explain {
namespace {

constexpr std::size_t kFirstRules = 12;
constexpr std::size_t kCandidates = 1500;
constexpr std::int64_t kCoarseBuckets = 1024;

// Buckets [first, last] of a feature. For a category: one bucket.
struct Region {
  std::size_t feature = 0;
  std::int64_t first = 0, last = 0;
  double gain = 0;
};

// The contiguous range with the largest sum (Kadane), extended to an end of the axis where that
// costs nothing.
Region BestRange(std::span<const double> sums) {
  Region best{0, 0, -1, 0};
  double sum = 0;
  std::int64_t begin = 0;
  const auto size = static_cast<std::int64_t>(sums.size());
  for (std::int64_t i = 0; i < size; ++i) {
    if (sum <= 0) {
      sum = 0;
      begin = i;
    }
    sum += sums[static_cast<std::size_t>(i)];
    if (sum > best.gain) best = {0, begin, i, sum};
  }
  const auto all_zero = [&](std::int64_t from, std::int64_t to) {
    return std::all_of(sums.begin() + from, sums.begin() + to, [](double s) { return s == 0; });
  };
  if (best.last < 0) return best;
  if (all_zero(0, best.first)) best.first = 0;
  if (all_zero(best.last + 1, size)) best.last = size - 1;
  return best;
}

// The bucket with the largest sum, or the complement of the one with the smallest if that is not an
// option of a range: with two buckets both are the same.
Region BestBucket(std::span<const double> sums) {
  const auto largest = std::max_element(sums.begin(), sums.end());
  const auto at = largest - sums.begin();
  return {0, at, at, *largest};
}

// Which part of the tensor a range is, and what the rest is called.
struct Wording {
  std::string inside, outside;
};

Wording Words(const Feature& feature, const Region& region) {
  if (feature.kind == Feature::Kind::kCategory) {
    const std::string inside = "where " + feature.labels[static_cast<std::size_t>(region.first)];
    if (feature.buckets == 2)
      return {inside, "where " + feature.labels[static_cast<std::size_t>(1 - region.first)]};
    return {inside, "elsewhere"};
  }
  const std::string& name = feature.name;
  if (region.first == region.last)
    return {fmt::format("at {} {}", name, region.first), "elsewhere"};
  if (region.first == 0)
    return {fmt::format("for {} 0 to {}", name, region.last),
            fmt::format("for {} {} and up", name, region.last + 1)};
  if (region.last == feature.buckets - 1)
    return {fmt::format("for {} {} and up", name, region.first),
            fmt::format("for {} 0 to {}", name, region.first - 1)};
  return {fmt::format("for {} {} to {}", name, region.first, region.last), "elsewhere"};
}

// Hypotheses that the sample tells apart, golden first, with their gain over golden at each
// element.
struct Rule {
  Hypothesis point;
  int cost = 0;
  std::vector<std::uint8_t> agreement;
  std::vector<std::vector<double>> sums;  // by feature and bucket
  double total = 0;
};

class RegionFinder {
 public:
  RegionFinder(const Comparison& comparison, const Sample& sample,
               const std::vector<Candidate>& candidates)
      : comparison_(comparison), sample_(sample), features_(comparison.model().Features()) {
    for (const Feature& feature : features_) {
      const std::int64_t width = (feature.buckets + kCoarseBuckets - 1) / kCoarseBuckets;
      std::vector<std::int64_t> buckets;
      buckets.reserve(sample.elements().size());
      for (const std::int64_t e : sample.elements())
        buckets.push_back(feature.bucket_of(e) / width);
      buckets_.push_back(std::move(buckets));
      bucket_count_.push_back((feature.buckets + width - 1) / width);
    }
    AddRule(comparison.model().Golden());
    std::set<std::uint64_t> seen;
    for (const Candidate& candidate : candidates) {
      if (rules_.size() > kCandidates) break;
      if (seen.insert(candidate.signature).second) AddRule(candidate.point);
    }
  }

  std::optional<Mixture> Find() const {
    double best_score = 0;
    std::size_t best_first = 0;
    std::size_t best_second = 0;
    Region best;
    for (const std::size_t first : FirstRules()) {
      for (std::size_t second = 0; second < rules_.size(); ++second) {
        if (second == first) continue;
        for (std::size_t f = 0; f < features_.size(); ++f) {
          const Region region = BestRegion(first, second, f);
          const double score =
              rules_[second].total + region.gain - Penalty(comparison_, Cost(first, second, f));
          if (score <= best_score) continue;
          best_score = score;
          best_first = first;
          best_second = second;
          best = region;
        }
      }
    }
    if (best_score <= 0) return std::nullopt;
    return Counted(best_first, best_second, best);
  }

 private:
  static constexpr int kRegionCost = 2;

  int Cost(std::size_t first, std::size_t second, std::size_t feature) const {
    const bool plain =
        features_[feature].buckets == 2 || features_[feature].kind == Feature::Kind::kIndex;
    return rules_[first].cost + rules_[second].cost + kRegionCost + (plain ? 0 : 1);
  }

  void AddRule(const Hypothesis& point) {
    Rule rule{point, comparison_.model().CostOf(point), sample_.Agreement(point), {}, 0};
    std::vector<double> gain(rule.agreement.size());
    for (std::size_t i = 0; i < gain.size(); ++i) {
      const int golden = comparison_.Mismatch(sample_.elements()[i]) ? 0 : 1;
      gain[i] = sample_.weights()[i] * (int{rule.agreement[i]} - golden);
      rule.total += gain[i];
    }
    for (std::size_t f = 0; f < features_.size(); ++f) {
      std::vector<double> sums(static_cast<std::size_t>(bucket_count_[f]));
      for (std::size_t i = 0; i < gain.size(); ++i)
        sums[static_cast<std::size_t>(buckets_[f][i])] += gain[i];
      rule.sums.push_back(std::move(sums));
    }
    rules_.push_back(std::move(rule));
  }

  Region BestRegion(std::size_t first, std::size_t second, std::size_t f) const {
    const std::vector<double>& a = rules_[first].sums[f];
    const std::vector<double>& b = rules_[second].sums[f];
    std::vector<double> difference(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
    Region region =
        features_[f].kind == Feature::Kind::kIndex ? BestRange(difference) : BestBucket(difference);
    region.feature = f;
    return region;
  }

  // Those that gain most over golden within a region of their own.
  std::vector<std::size_t> FirstRules() const {
    std::vector<std::pair<double, std::size_t>> ranked;
    for (std::size_t r = 1; r < rules_.size(); ++r) {
      double gain = rules_[r].total - Penalty(comparison_, rules_[r].cost);
      for (std::size_t f = 0; f < features_.size(); ++f)
        gain = std::max(gain, BestRegion(r, 0, f).gain - Penalty(comparison_, Cost(r, 0, f)));
      ranked.emplace_back(-gain, r);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<std::size_t> list;
    for (std::size_t i = 0; i < std::min(kFirstRules, ranked.size()); ++i)
      list.push_back(ranked[i].second);
    return list;
  }

  // The two rules over the whole tensor, and the region's exact bounds.
  Mixture Counted(std::size_t first, std::size_t second, Region region) const {
    const Feature& feature = features_[region.feature];
    const std::vector<std::int64_t> out_first = comparison_.Outputs(rules_[first].point);
    const std::vector<std::int64_t> out_second = comparison_.Outputs(rules_[second].point);
    std::vector<double> difference(static_cast<std::size_t>(feature.buckets));
    for (std::size_t e = 0; e < out_first.size(); ++e) {
      const int a = out_first[e] == comparison_.actual()[e] ? 1 : 0;
      const int b = out_second[e] == comparison_.actual()[e] ? 1 : 0;
      difference[static_cast<std::size_t>(feature.bucket_of(static_cast<std::int64_t>(e)))] +=
          a - b;
    }
    const std::size_t f = region.feature;
    region = feature.kind == Feature::Kind::kIndex ? BestRange(difference) : BestBucket(difference);
    region.feature = f;

    Mixture mixture;
    mixture.cost = Cost(first, second, f);
    const Wording words = Words(feature, region);
    mixture.parts = {PartOf(first, words.inside), PartOf(second, words.outside)};
    for (std::size_t e = 0; e < out_first.size(); ++e) {
      const std::int64_t bucket = feature.bucket_of(static_cast<std::int64_t>(e));
      const bool inside = bucket >= region.first && bucket <= region.last;
      const bool agrees = (inside ? out_first : out_second)[e] == comparison_.actual()[e];
      const bool mismatch = comparison_.Mismatch(static_cast<std::int64_t>(e));
      if (mismatch && agrees) {
        ++mixture.explained;
        ++mixture.parts[inside ? 0 : 1].explained;
      }
      if (!mismatch && !agrees) ++mixture.broken;
    }
    AddAlternatives(first, region, true, mixture.parts[0]);
    AddAlternatives(second, region, false, mixture.parts[1]);
    // The golden rule last: the others are the news.
    if (second != 0 && first == 0) std::swap(mixture.parts[0], mixture.parts[1]);
    return mixture;
  }

  Part PartOf(std::size_t rule, const std::string& where) const {
    const Model& model = comparison_.model();
    return {model.IdOf(rules_[rule].point), model.PhraseOf(rules_[rule].point), where, 0, {}};
  }

  // Rules no more far-fetched that agree with the sample at the same elements of the part.
  void AddAlternatives(std::size_t rule, const Region& region, bool inside, Part& part) const {
    if (rule == 0) return;
    const Feature& feature = features_[region.feature];
    std::vector<std::size_t> within;
    for (std::size_t i = 0; i < sample_.elements().size(); ++i) {
      const std::int64_t bucket = feature.bucket_of(sample_.elements()[i]);
      if ((bucket >= region.first && bucket <= region.last) == inside) within.push_back(i);
    }
    constexpr std::size_t kListed = 3;
    for (std::size_t r = 1; r < rules_.size() && part.alternatives.size() < kListed; ++r) {
      if (r == rule || rules_[r].cost > rules_[rule].cost) continue;
      const bool same = std::all_of(within.begin(), within.end(), [&](std::size_t i) {
        return rules_[r].agreement[i] == rules_[rule].agreement[i];
      });
      if (same) part.alternatives.push_back(comparison_.model().PhraseOf(rules_[r].point));
    }
  }

  const Comparison& comparison_;
  const Sample& sample_;
  std::vector<Feature> features_;
  std::vector<std::vector<std::int64_t>> buckets_;  // by feature and sample element, coarse
  std::vector<std::int64_t> bucket_count_;
  std::vector<Rule> rules_;
};

}  // namespace

std::optional<Mixture> FindRegions(const Comparison& comparison, const Sample& sample,
                                   const std::vector<Candidate>& candidates) {
  return RegionFinder(comparison, sample, candidates).Find();
}

namespace {

// Finds rules that cover the mismatches, on the sample; each element may follow any of them.
class CoverFinder {
 public:
  CoverFinder(const Comparison& comparison, const Sample& sample,
              const std::vector<Candidate>& candidates)
      : comparison_(comparison),
        sample_(sample),
        all_(static_cast<double>(comparison.mismatches().size())) {
    for (const Candidate& candidate : candidates) {
      const double touched = candidate.tally.explained + candidate.tally.broken;
      if (touched == 0 || candidate.tally.explained < std::max(3.0, kLeastShare * all_)) continue;
      const double precision = candidate.tally.explained / touched;
      if (precision >= kLeastPrecision)
        options_.push_back(
            {&candidate, precision,
             candidate.tally.explained * precision - Penalty(comparison, candidate.cost)});
    }
    std::stable_sort(options_.begin(), options_.end(),
                     [](const Option& a, const Option& b) { return a.worth > b.worth; });
  }

  // Of one rule that explains nearly all, or of the pair that does it best.
  std::vector<const Candidate*> Find() {
    KeepDistinct();
    std::vector<const Candidate*> best;
    double best_worth = 0;
    const auto consider = [&](double explained, double precision, double cost,
                              std::vector<const Candidate*> rules) {
      // Precision decides between covers that explain about as much.
      const double worth = explained * (0.9 + 0.1 * precision) -
                           Penalty(comparison_, static_cast<int>(cost)) -
                           kLeastShare * all_ * static_cast<double>(rules.size() - 1);
      if (worth <= best_worth) return;
      best_worth = worth;
      best = std::move(rules);
    };
    for (std::size_t i = 0; i < options_.size(); ++i) {
      const Candidate& first = *options_[i].candidate;
      consider(first.tally.explained, options_[i].precision, first.cost, {&first});
      for (std::size_t j = 0; j < i; ++j) {
        const Candidate& second = *options_[j].candidate;
        consider(Union(i, j), (options_[i].precision + options_[j].precision) / 2,
                 first.cost + second.cost, {&second, &first});
      }
    }
    return best;
  }

 private:
  static constexpr double kLeastPrecision = 0.05;
  static constexpr double kLeastShare = 0.02;
  static constexpr std::size_t kOptions = 80;

  struct Option {
    const Candidate* candidate;
    double precision;
    double worth;
  };

  void KeepDistinct() {
    std::vector<Option> kept;
    std::set<std::uint64_t> seen;
    for (const Option& option : options_) {
      if (kept.size() == kOptions) break;
      if (!seen.insert(option.candidate->signature).second) continue;
      kept.push_back(option);
      agreement_.push_back(sample_.Agreement(option.candidate->point));
    }
    options_ = std::move(kept);
  }

  double Union(std::size_t i, std::size_t j) const {
    double explained = 0;
    for (std::size_t e = 0; e < sample_.elements().size(); ++e) {
      if ((agreement_[i][e] | agreement_[j][e]) != 0 && comparison_.Mismatch(sample_.elements()[e]))
        explained += sample_.weights()[e];
    }
    return explained;
  }

  const Comparison& comparison_;
  const Sample& sample_;
  double all_;
  std::vector<Option> options_;
  std::vector<std::vector<std::uint8_t>> agreement_;
};

}  // namespace

std::optional<Mixture> FindCover(const Comparison& comparison, const Sample& sample,
                                 const std::vector<Candidate>& candidates) {
  constexpr double kEnough = 0.8;
  const std::vector<const Candidate*> chosen = CoverFinder(comparison, sample, candidates).Find();
  if (chosen.empty()) return std::nullopt;
  Mixture mixture;
  const Model& model = comparison.model();
  std::vector<std::uint8_t> done(static_cast<std::size_t>(model.size()), 0);
  for (const Candidate* candidate : chosen) {
    Part part{model.IdOf(candidate->point), model.PhraseOf(candidate->point), "", 0, {}};
    const std::vector<std::int64_t> out = comparison.Outputs(candidate->point);
    for (const std::int64_t e : comparison.mismatches()) {
      const auto at = static_cast<std::size_t>(e);
      if (done[at] != 0 || out[at] != comparison.actual()[at]) continue;
      done[at] = 1;
      ++part.explained;
    }
    mixture.explained += part.explained;
    mixture.cost += candidate->cost;
    mixture.parts.push_back(std::move(part));
  }
  if (static_cast<double>(mixture.explained) <
      kEnough * static_cast<double>(comparison.mismatches().size()))
    return std::nullopt;
  return mixture;
}

}  // namespace qsim::explain
