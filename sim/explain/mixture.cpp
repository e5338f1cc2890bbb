#include "sim/explain/mixture.h"

#include <algorithm>
#include <set>

#include "sim/explain/index_set.h"

namespace qsim::explain {
namespace {

constexpr std::size_t kFirstRules = 12;
constexpr std::size_t kCandidates = 1500;
constexpr std::int64_t kCoarseBuckets = 1024;

struct Region {
  std::size_t feature = 0;
  IndexSet set;
  double gain = 0;
};

// The bucket with the largest sum.
Gain BestBucket(std::span<const double> sums) {
  const auto largest = std::max_element(sums.begin(), sums.end());
  const std::int64_t at = largest - sums.begin();
  return {{{{at, at}}}, *largest};
}

// Which part of the tensor a region is, and what the rest is called.
struct Wording {
  std::string inside, outside;
};

Wording Words(const Feature& feature, const IndexSet& set) {
  if (feature.kind == Feature::Kind::kIndex)
    return {set.Words(feature.name, feature.buckets),
            set.OutsideWords(feature.name, feature.buckets)};
  const auto at = static_cast<std::size_t>(set.ranges[0].first);
  const auto where = [](const std::string& label) {
    return label.starts_with("for ") || label.starts_with("at ") || label.starts_with("where ")
               ? label
               : "where " + label;
  };
  return {where(feature.labels[at]), feature.buckets == 2 && feature.labels[1 - at] != "elsewhere"
                                         ? where(feature.labels[1 - at])
                                         : "elsewhere"};
}

// Hypotheses that the sample tells apart, golden first, with their gain over golden at each
// element.
struct Rule {
  Hypothesis point;
  int cost = 0;
  std::int64_t freedom = 0;
  std::vector<std::uint8_t> agreement;
  std::vector<std::vector<double>> sums;  // by feature and bucket
  double total = 0;
};

class RegionFinder {
 public:
  RegionFinder(const Comparison& comparison, const Sample& sample,
               const std::vector<Candidate>& candidates, const std::optional<Where>& where)
      : comparison_(comparison), sample_(sample), features_(comparison.model().Features()) {
    // Along one axis, the ranges of that axis say as much.
    if (where && where->axes > 1)
      features_.push_back({Feature::Kind::kCategory,
                           "mismatches",
                           {where->words, "elsewhere"},
                           2,
                           [contains = where->contains](std::int64_t e) -> std::int64_t {
                             return contains(e) ? 0 : 1;
                           }});
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
      if (candidate.tally.explained == 0) continue;
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
          const double score = rules_[second].total + region.gain - Price(first, second, region);
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

  int Cost(std::size_t first, std::size_t second, const Region& region) const {
    const Feature& feature = features_[region.feature];
    const bool plain = feature.buckets == 2 || feature.kind == Feature::Kind::kIndex;
    return rules_[first].cost + rules_[second].cost + kRegionCost + (plain ? 0 : 1) +
           static_cast<int>(region.set.Pieces()) - 1;
  }
  double Price(std::size_t first, std::size_t second, const Region& region) const {
    return Penalty(comparison_, Cost(first, second, region)) +
           static_cast<double>(rules_[first].freedom + rules_[second].freedom);
  }
  Gain Best(const Feature& feature, std::span<const double> sums) const {
    return feature.kind == Feature::Kind::kIndex ? BestRanges(sums, 2 * Penalty(comparison_, 1))
                                                 : BestBucket(sums);
  }

  void AddRule(const Hypothesis& point) {
    Rule rule{point,
              comparison_.model().CostOf(point),
              comparison_.model().FreedomOf(point),
              sample_.Agreement(point),
              {},
              0};
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
    Gain best = Best(features_[f], difference);
    return {f, std::move(best.set), best.gain};
  }

  // Those that gain most over golden within a region of their own.
  std::vector<std::size_t> FirstRules() const {
    std::vector<std::pair<double, std::size_t>> ranked;
    for (std::size_t r = 1; r < rules_.size(); ++r) {
      double gain = rules_[r].total - Penalty(comparison_, rules_[r].cost) -
                    static_cast<double>(rules_[r].freedom);
      for (std::size_t f = 0; f < features_.size(); ++f) {
        const Region region = BestRegion(r, 0, f);
        gain = std::max(gain, region.gain - Price(r, 0, region));
      }
      ranked.emplace_back(-gain, r);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<std::size_t> list;
    // Rules with many numbers fit nearly anything: they leave room for others.
    std::size_t free = 0;
    for (std::size_t i = 0; i < ranked.size() && list.size() < kFirstRules; ++i) {
      const std::size_t rule = ranked[i].second;
      if (rules_[rule].freedom > 2 && ++free > kFirstRules / 4) continue;
      list.push_back(rule);
    }
    return list;
  }

  // The two rules over the whole tensor, and the region's exact bounds.
  std::optional<Mixture> Counted(std::size_t first, std::size_t second, Region region) const {
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
    region.set = Best(feature, difference).set;

    Mixture mixture;
    mixture.cost = Cost(first, second, region);
    mixture.freedom = rules_[first].freedom + rules_[second].freedom;
    const Wording words = Words(feature, region.set);
    std::int64_t broken[2] = {0, 0};
    mixture.parts = {PartOf(first, words.inside), PartOf(second, words.outside)};
    for (std::size_t e = 0; e < out_first.size(); ++e) {
      const bool inside = region.set.Contains(feature.bucket_of(static_cast<std::int64_t>(e)));
      const bool agrees = (inside ? out_first : out_second)[e] == comparison_.actual()[e];
      const bool mismatch = comparison_.Mismatch(static_cast<std::int64_t>(e));
      if (mismatch && agrees) {
        ++mixture.explained;
        ++mixture.parts[inside ? 0 : 1].explained;
      }
      if (!mismatch && !agrees) {
        ++mixture.broken;
        ++broken[inside ? 0 : 1];
      }
    }
    // A part that explains no more than it breaks is none.
    for (const std::size_t part : {0U, 1U}) {
      const bool golden = (part == 0 ? first : second) == 0;
      if (!golden && mixture.parts[part].explained <= broken[part]) return std::nullopt;
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
      if (region.set.Contains(feature.bucket_of(sample_.elements()[i])) == inside)
        within.push_back(i);
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
                                   const std::vector<Candidate>& candidates,
                                   const std::optional<Where>& where) {
  return RegionFinder(comparison, sample, candidates, where).Find();
}

}  // namespace qsim::explain
