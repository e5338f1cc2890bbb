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

  // Rules with many numbers to choose may stand for several plain ones.
  std::optional<Mixture> Find() const {
    constexpr std::int64_t kPlainFreedom = 2;
    std::optional<Mixture> best = FindWithin(INT64_MAX);
    const auto try_other = [&](std::optional<Mixture> other) {
      if (ScoreOf(other) > ScoreOf(best)) best = std::move(other);
    };
    if (!best || best->freedom > kPlainFreedom) try_other(FindWithin(kPlainFreedom));
    for (std::size_t f = 0; f < features_.size(); ++f) {
      const bool axis =
          features_[f].of == Feature::Of::kAxis && features_[f].buckets <= kCoarseBuckets;
      if (axis || features_[f].name == "element") try_other(Divided(f, kPlainFreedom));
    }
    return best;
  }

 private:
  static constexpr int kRegionCost = 2;
  static constexpr std::size_t kMostLayers = 3;  // besides what applies elsewhere

  double ScoreOf(const std::optional<Mixture>& mixture) const {
    if (!mixture) return -1;
    return static_cast<double>(mixture->explained - mixture->broken - mixture->freedom) -
           Penalty(comparison_, mixture->cost);
  }

  // By rules with at most so many numbers to choose.
  std::optional<Mixture> FindWithin(std::int64_t freedom) const {
    double best_score = 0;
    std::size_t best_first = 0;
    std::size_t best_second = 0;
    Region best;
    for (const std::size_t first : FirstRules(freedom)) {
      for (std::size_t second = 0; second < rules_.size(); ++second) {
        if (second == first || rules_[second].freedom > freedom) continue;
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
    std::vector<Layer> layers = {{best_first, best}};
    std::optional<Mixture> mixture = Counted(layers, best_second);
    while (layers.size() < kMostLayers) {
      std::optional<Layer> next = NextLayer(layers, best_second, freedom);
      if (!next) break;
      layers.push_back(std::move(*next));
      // What the sample promises the whole tensor may not keep.
      std::optional<Mixture> more = Counted(layers, best_second);
      if (ScoreOf(more) > ScoreOf(mixture)) mixture = std::move(more);
    }
    return mixture;
  }

  // A rule and where it applies, unless an earlier one does.
  struct Layer {
    std::size_t rule = 0;
    Region region;
  };

  int Cost(std::size_t rule, const Region& region) const {
    const Feature& feature = features_[region.feature];
    const bool plain = feature.buckets == 2 || feature.kind == Feature::Kind::kIndex;
    return rules_[rule].cost + kRegionCost + (plain ? 0 : 1) +
           static_cast<int>(region.set.Pieces()) - 1;
  }
  int Cost(std::size_t first, std::size_t second, const Region& region) const {
    return Cost(first, region) + rules_[second].cost;
  }
  bool Inside(const Region& region, std::int64_t element) const {
    return region.set.Contains(features_[region.feature].bucket_of(element));
  }
  // The first layer that an element is in, or layers.size().
  std::size_t LayerOf(const std::vector<Layer>& layers, std::int64_t element) const {
    std::size_t layer = 0;
    while (layer < layers.size() && !Inside(layers[layer].region, element)) ++layer;
    return layer;
  }

  // One more rule for a part of what is left to `base`.
  std::optional<Layer> NextLayer(const std::vector<Layer>& layers, std::size_t base,
                                 std::int64_t freedom) const {
    constexpr std::size_t kTried = 48;
    std::vector<std::size_t> left;  // of the sample
    for (std::size_t i = 0; i < sample_.elements().size(); ++i)
      if (LayerOf(layers, sample_.elements()[i]) == layers.size()) left.push_back(i);
    const auto gain = [&](std::size_t rule, std::size_t i) {
      return sample_.weights()[i] *
             (int{rules_[rule].agreement[i]} - int{rules_[base].agreement[i]});
    };
    std::vector<std::pair<double, std::size_t>> ranked;
    for (std::size_t rule = 0; rule < rules_.size(); ++rule) {
      if (rules_[rule].freedom > freedom) continue;
      double potential = -Penalty(comparison_, rules_[rule].cost + kRegionCost) -
                         static_cast<double>(rules_[rule].freedom);
      for (const std::size_t i : left) potential += std::max(gain(rule, i), 0.0);
      if (rule != base && potential > 0) ranked.emplace_back(-potential, rule);
    }
    std::sort(ranked.begin(), ranked.end());
    if (ranked.size() > kTried) ranked.resize(kTried);
    std::optional<Layer> best;
    double best_score = 0;
    for (const auto& [potential, rule] : ranked) {
      for (std::size_t f = 0; f < features_.size(); ++f) {
        std::vector<double> sums(static_cast<std::size_t>(bucket_count_[f]));
        for (const std::size_t i : left)
          sums[static_cast<std::size_t>(buckets_[f][i])] += gain(rule, i);
        const Gain found = Best(features_[f], sums);
        const Region region = {f, found.set, found.gain};
        const double score = found.gain - Penalty(comparison_, Cost(rule, region)) -
                             static_cast<double>(rules_[rule].freedom);
        if (score <= best_score) continue;
        best_score = score;
        best = {rule, region};
      }
    }
    return best;
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
  std::vector<std::size_t> FirstRules(std::int64_t freedom) const {
    std::vector<std::pair<double, std::size_t>> ranked;
    for (std::size_t r = 1; r < rules_.size(); ++r) {
      if (rules_[r].freedom > freedom) continue;
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

  // Three rules or more, each in ranges of one axis, or of elements.
  std::optional<Mixture> Divided(std::size_t f, std::int64_t freedom) const {
    constexpr std::size_t kTried = 256;
    constexpr double kShare = 0.01;  // of the mismatches: what a range has to gain at least
    const auto price = [&](std::size_t rule) {
      return 2 * Penalty(comparison_, rules_[rule].cost + kRegionCost) +
             static_cast<double>(rules_[rule].freedom) +
             kShare * static_cast<double>(comparison_.mismatches().size());
    };
    std::vector<std::pair<double, std::size_t>> ranked;
    for (std::size_t rule = 1; rule < rules_.size(); ++rule)
      if (rules_[rule].freedom <= freedom)
        ranked.emplace_back(price(rule) - BestRegion(rule, 0, f).gain, rule);
    std::sort(ranked.begin(), ranked.end());
    std::vector<std::size_t> rules = {0};
    for (const auto& [loss, rule] : ranked)
      if (rules.size() <= kTried && loss < 0) rules.push_back(rule);
    std::vector<std::vector<double>> gains;
    for (const std::size_t rule : rules) gains.push_back(rules_[rule].sums[f]);
    const auto divide = [&] {
      std::vector<double> prices;
      for (const std::size_t rule : rules) prices.push_back(price(rule));
      return BestDivision(gains, prices);
    };
    std::vector<std::size_t> division = divide();
    const std::set<std::size_t> used(division.begin(), division.end());
    if (used.size() < 3 || used.size() > kMostLayers + 1) return std::nullopt;
    // Of the whole tensor, among these.
    std::vector<std::size_t> of_used;
    for (const std::size_t i : used) of_used.push_back(rules[i]);
    rules = of_used;
    gains.clear();
    for (const std::size_t rule : rules) {
      const std::vector<std::int64_t> out = comparison_.Outputs(rules_[rule].point);
      std::vector<double> sums(static_cast<std::size_t>(features_[f].buckets));
      for (std::size_t e = 0; e < out.size(); ++e)
        if (out[e] == comparison_.actual()[e])
          ++sums[static_cast<std::size_t>(features_[f].bucket_of(static_cast<std::int64_t>(e)))];
      gains.push_back(std::move(sums));
    }
    division = divide();
    std::vector<Layer> layers;
    for (std::size_t r = 0; r < rules.size(); ++r) {
      Region region = {f, {}, 0};
      for (std::size_t i = 0; i < division.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        if (division[i] != r) continue;
        if (i > 0 && division[i - 1] == r)
          region.set.ranges.back().second = at;
        else
          region.set.ranges.emplace_back(at, at);
      }
      if (rules[r] != 0 && !region.set.ranges.empty()) layers.push_back({rules[r], region});
    }
    if (layers.empty()) return std::nullopt;
    return Counted(std::move(layers), 0, /*exact=*/true);
  }

  // The rules over the whole tensor, and the regions' bounds unless they are `exact`; elsewhere
  // `base` applies.
  std::optional<Mixture> Counted(std::vector<Layer> layers, std::size_t base,
                                 bool exact = false) const {
    const auto agreement = [&](std::size_t rule) {
      std::vector<std::int64_t> out = comparison_.Outputs(rules_[rule].point);
      for (std::size_t e = 0; e < out.size(); ++e)
        out[e] = out[e] == comparison_.actual()[e] ? 1 : 0;
      return out;
    };
    std::vector<std::int64_t> agrees = agreement(base);
    std::vector<std::size_t> layer_of(agrees.size(), layers.size());
    std::vector<bool> overlaps(layers.size());
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const std::vector<std::int64_t> own = agreement(layers[l].rule);
      Region& region = layers[l].region;
      const Feature& feature = features_[region.feature];
      std::vector<double> difference(static_cast<std::size_t>(feature.buckets));
      for (std::size_t e = 0; e < own.size(); ++e) {
        if (layer_of[e] == layers.size())
          difference[static_cast<std::size_t>(feature.bucket_of(static_cast<std::int64_t>(e)))] +=
              static_cast<double>(own[e] - agrees[e]);
      }
      if (!exact) region.set = Best(feature, difference).set;
      for (std::size_t e = 0; e < own.size(); ++e) {
        if (!Inside(region, static_cast<std::int64_t>(e))) continue;
        if (layer_of[e] != layers.size()) overlaps[l] = true;
        if (layer_of[e] != layers.size()) continue;
        layer_of[e] = l;
        agrees[e] = own[e];
      }
    }

    Mixture mixture;
    mixture.cost = rules_[base].cost;
    mixture.freedom = rules_[base].freedom;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const Region& region = layers[l].region;
      mixture.cost += Cost(layers[l].rule, region);
      mixture.freedom += rules_[layers[l].rule].freedom;
      const Wording words = Words(features_[region.feature], region.set);
      mixture.parts.push_back(
          PartOf(layers[l].rule, words.inside + (overlaps[l] ? " of the rest" : "")));
    }
    const Wording rest = Words(features_[layers[0].region.feature], layers[0].region.set);
    mixture.parts.push_back(PartOf(base, layers.size() == 1 ? rest.outside : "elsewhere"));
    std::vector<std::int64_t> broken(mixture.parts.size()), sizes(broken.size());
    for (std::size_t e = 0; e < agrees.size(); ++e) {
      const bool mismatch = comparison_.Mismatch(static_cast<std::int64_t>(e));
      ++sizes[layer_of[e]];
      if (mismatch && agrees[e] != 0) {
        ++mixture.explained;
        ++mixture.parts[layer_of[e]].explained;
      }
      if (!mismatch && agrees[e] == 0) {
        ++mixture.broken;
        ++broken[layer_of[e]];
      }
    }
    // A part that explains no more than it breaks is none.
    for (std::size_t part = 0; part < mixture.parts.size(); ++part) {
      const std::size_t rule = part < layers.size() ? layers[part].rule : base;
      if (rule != 0 && sizes[part] != 0 && mixture.parts[part].explained <= broken[part])
        return std::nullopt;
      AddAlternatives(rule, layers, part, mixture.parts[part]);
    }
    // What applies nowhere is none either; and the golden rule last: the others are the news.
    std::vector<Part> parts;
    for (const bool golden : {false, true}) {
      for (std::size_t part = 0; part < mixture.parts.size(); ++part) {
        const std::size_t rule = part < layers.size() ? layers[part].rule : base;
        if ((rule == 0) == golden && sizes[part] != 0)
          parts.push_back(std::move(mixture.parts[part]));
      }
    }
    mixture.parts = std::move(parts);
    if (mixture.parts.size() < 2) return std::nullopt;
    return mixture;
  }

  Part PartOf(std::size_t rule, const std::string& where) const {
    const Model& model = comparison_.model();
    return {model.IdOf(rules_[rule].point), model.PhraseOf(rules_[rule].point), where, 0, {}};
  }

  // Rules no more far-fetched that agree with the sample at the same elements of the part.
  void AddAlternatives(std::size_t rule, const std::vector<Layer>& layers, std::size_t layer,
                       Part& part) const {
    if (rule == 0) return;
    std::vector<std::size_t> within;
    for (std::size_t i = 0; i < sample_.elements().size(); ++i)
      if (LayerOf(layers, sample_.elements()[i]) == layer) within.push_back(i);
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
