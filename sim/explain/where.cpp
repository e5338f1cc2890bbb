#include "sim/explain/where.h"

#include <memory>
#include <vector>

#include "sim/explain/index_set.h"

namespace qsim::explain {
namespace {

struct Along {
  Feature feature;
  IndexSet set;
};

}  // namespace

std::optional<Where> FindWhere(const Comparison& comparison) {
  const std::vector<std::int64_t>& mismatches = comparison.mismatches();
  const std::int64_t size = comparison.model().size();
  auto box = std::make_shared<std::vector<Along>>();
  const auto inside = [box](std::int64_t e) {
    for (const Along& along : *box)
      if (!along.set.Contains(along.feature.bucket_of(e))) return false;
    return true;
  };
  for (const Feature& feature : comparison.model().Features()) {
    if (feature.buckets < 2 || feature.of != Feature::Of::kAxis) continue;
    std::vector<std::int64_t> counts(static_cast<std::size_t>(feature.buckets));
    std::vector<std::int64_t> sizes(counts.size());
    // Within what the axes so far leave: a head is not told again as a range of channels.
    for (const std::int64_t e : mismatches)
      if (inside(e)) ++counts[static_cast<std::size_t>(feature.bucket_of(e))];
    for (std::int64_t e = 0; e < size; ++e)
      if (inside(e)) ++sizes[static_cast<std::size_t>(feature.bucket_of(e))];
    const IndexSet set = Concentration(counts, sizes);
    if (!set.IsAll(feature.buckets)) box->push_back({feature, set});
  }
  Where where;
  if (!box->empty()) {
    for (const Along& along : *box) {
      if (!where.words.empty()) where.words += ", and ";
      where.words += along.set.Words(along.feature.name, along.feature.buckets);
    }
    where.axes = static_cast<int>(box->size());
    where.contains = inside;
  } else {
    for (const Feature& feature : comparison.model().Features()) {
      if (feature.kind != Feature::Kind::kCategory || feature.of != Feature::Of::kValue) continue;
      std::vector<std::int64_t> counts(static_cast<std::size_t>(feature.buckets));
      std::vector<std::int64_t> sizes(counts.size());
      for (const std::int64_t e : mismatches)
        ++counts[static_cast<std::size_t>(feature.bucket_of(e))];
      for (std::int64_t e = 0; e < size; ++e)
        ++sizes[static_cast<std::size_t>(feature.bucket_of(e))];
      const IndexSet set = Concentration(counts, sizes);
      if (set.Pieces() != 1 || set.modulus != 0 || set.ranges[0].first != set.ranges[0].second)
        continue;
      const std::int64_t bucket = set.ranges[0].first;
      where.words = "where " + feature.labels[static_cast<std::size_t>(bucket)];
      where.contains = [feature, bucket](std::int64_t e) { return feature.bucket_of(e) == bucket; };
      break;
    }
  }
  if (!where.contains) return std::nullopt;
  for (const std::int64_t e : mismatches) where.inside += where.contains(e) ? 1 : 0;
  for (std::int64_t e = 0; e < size; ++e) where.elements += where.contains(e) ? 1 : 0;
  if (where.inside * 10 < static_cast<std::int64_t>(mismatches.size()) * 9) return std::nullopt;
  return where;
}

}  // namespace qsim::explain
