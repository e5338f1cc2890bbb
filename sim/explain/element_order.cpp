#include "sim/explain/element_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace qsim::explain {
namespace {

using Values = std::span<const std::int64_t>;

std::uint64_t HashOfRun(Values values) {
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a
  for (const std::int64_t value : values)
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 1099511628211ULL;
  return hash ^ hash >> 29;
}

// Where runs of outputs stand, each that stands in one place only.
class Places {
 public:
  Places(Values values, std::size_t run) {
    for (std::size_t at = 0; at + run <= values.size(); ++at)
      list_.emplace_back(HashOfRun(values.subspan(at, run)), at);
    std::sort(list_.begin(), list_.end());
  }
  // -1: nowhere, or in several places.
  std::int64_t Of(Values run) const {
    const std::uint64_t hash = HashOfRun(run);
    const auto found =
        std::lower_bound(list_.begin(), list_.end(), std::pair(hash, std::size_t{0}));
    if (found == list_.end() || found->first != hash) return -1;
    if (found + 1 != list_.end() && found[1].first == hash) return -1;
    return static_cast<std::int64_t>(found->second);
  }

 private:
  std::vector<std::pair<std::uint64_t, std::size_t>> list_;
};

// By how many elements runs of the actual outputs come late, the commonest distances first.
std::vector<std::int64_t> Distances(Values golden, Values actual) {
  constexpr std::size_t kRun = 6;
  constexpr std::size_t kLookups = std::size_t{1} << 15;
  constexpr std::size_t kKept = 3;
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at + kRun <= actual.size(); ++at)
    if (golden[at] != actual[at]) starts.push_back(at);
  if (starts.size() < kRun) return {};
  const Places places(golden, kRun);
  const std::size_t step = starts.size() / kLookups + 1;
  std::map<std::int64_t, std::int64_t> votes;
  for (std::size_t i = 0; i < starts.size(); i += step) {
    const std::int64_t place = places.Of(actual.subspan(starts[i], kRun));
    const std::int64_t distance = static_cast<std::int64_t>(starts[i]) - place;
    if (place >= 0 && distance != 0) ++votes[distance];
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> ranked;
  for (const auto& [distance, count] : votes)
    if (count >= 3) ranked.emplace_back(-count, distance);
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::int64_t> list;
  for (std::size_t i = 0; i < std::min(kKept, ranked.size()); ++i) list.push_back(ranked[i].second);
  return list;
}

// What an element holds that has none to be late from.
enum class Fill : std::uint8_t { kOwn, kNearest, kZero, kRotated };
constexpr std::pair<Fill, const char*> kFills[] = {
    {Fill::kOwn, ""},
    {Fill::kNearest, ", repeated at the edge"},
    {Fill::kZero, ", 0 at the edge"},
    {Fill::kRotated, ", rotated"},
};

// Late by `steps` of the index along an axis of `length` and `inner`; of the flat list: inner 1.
std::function<std::int64_t(std::int64_t)> Late(std::int64_t steps, std::int64_t length,
                                               std::int64_t inner, Fill fill) {
  return [=](std::int64_t e) {
    const std::int64_t index = e / inner % length;
    std::int64_t from = index - steps;
    if (from < 0 || from >= length) {
      if (fill == Fill::kOwn) return e;
      if (fill == Fill::kZero) return OrderRule::kZero;
      if (fill == Fill::kNearest) from = from < 0 ? 0 : length - 1;
      if (fill == Fill::kRotated) from = (from % length + length) % length;
    }
    return e + (from - index) * inner;
  };
}

std::string Plural(const std::string& thing) { return thing + "s"; }

class OrderFinder {
 public:
  OrderFinder(const Shape& shape, const std::vector<std::string>& names, Values golden,
              Values actual, Coordinate& coordinate, std::vector<OrderRule>& rules)
      : shape_(shape),
        names_(names),
        golden_(golden),
        actual_(actual),
        coordinate_(coordinate),
        rules_(rules),
        size_(static_cast<std::int64_t>(golden.size())) {}

  void Find() {
    rules_.push_back({});
    coordinate_.choices.push_back({"golden", "the elements in order", 0});
    if (size_ < 2 || std::equal(golden_.begin(), golden_.end(), actual_.begin())) return;
    AddTransposition();
    std::int64_t inner = size_;
    for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
      inner /= shape_[axis];
      AddSlices(names_[axis], shape_[axis], inner);
    }
    for (const std::int64_t distance : Distances(golden_, actual_)) AddLate(distance);
  }

 private:
  void Add(std::function<std::int64_t(std::int64_t)> source, std::string id, std::string phrase,
           int cost, std::int64_t freedom) {
    rules_.push_back({std::move(source)});
    coordinate_.choices.push_back(
        {std::move(id), std::move(phrase), cost, freedom == 0, {}, freedom});
  }

  void AddTransposition() {
    const std::size_t axes = shape_.size();
    if (axes < 2 || shape_[axes - 1] < 2 || shape_[axes - 2] < 2) return;
    const std::int64_t rows = shape_[axes - 2];
    const std::int64_t width = shape_[axes - 1];
    // The matrix of the last two axes, written column by column.
    Add(
        [rows, width](std::int64_t e) {
          const std::int64_t within = e % (rows * width);
          return e - within + within % rows * width + within / rows;
        },
        "transposed", "the output transposed", 2, 0);
  }

  void AddSlices(const std::string& name, std::int64_t length, std::int64_t inner) {
    constexpr std::size_t kOrders = 2;
    const std::vector<std::int64_t> sources = SliceSources(golden_, actual_, length, inner);
    std::vector<IndexOrder> orders = OrdersOf(sources, Plural(name));
    for (std::size_t i = 0; i < std::min(kOrders, orders.size()); ++i) {
      IndexOrder& order = orders[i];
      Add(
          [length, inner, map = std::move(order.sources)](std::int64_t e) {
            const std::int64_t index = e / inner % length;
            return e + (map[static_cast<std::size_t>(index)] - index) * inner;
          },
          fmt::format("{}_{}", name, order.id), "the output's " + order.phrase,
          order.freedom > 2 ? 4 : 3, order.freedom);
    }
  }

  // By so many elements of the flat list, or of the axis that this is a step of.
  void AddLate(std::int64_t distance) {
    std::int64_t inner = size_;
    AddBestFill("element", distance, distance, size_, 1);
    for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
      const std::int64_t length = shape_[axis];
      inner /= length;
      const std::int64_t steps = distance / inner;
      if (length < 2 || length == size_ || distance % inner != 0 || std::abs(steps) >= length)
        continue;
      AddBestFill(names_[axis], distance, steps, length, inner);
    }
  }

  void AddBestFill(const std::string& name, std::int64_t distance, std::int64_t steps,
                   std::int64_t length, std::int64_t inner) {
    std::int64_t best = 0;
    std::pair<Fill, const char*> kept = kFills[0];
    for (const auto& fill : kFills) {
      const auto source = Late(steps, length, inner, fill.first);
      std::int64_t gain = 0;
      for (std::int64_t e = 0; e < size_; ++e) {
        const std::int64_t from = source(e);
        const std::int64_t value = from < 0 ? 0 : golden_[static_cast<std::size_t>(from)];
        const auto at = static_cast<std::size_t>(e);
        gain += (value == actual_[at] ? 1 : 0) - (golden_[at] == actual_[at] ? 1 : 0);
      }
      if (&fill != &kFills[0] && gain <= best) continue;
      best = gain;
      kept = fill;
    }
    const char* late = distance > 0 ? "late" : "early";
    const std::int64_t count = std::abs(steps);
    std::string id = count == 1 ? fmt::format("{}_{}", name, late)
                                : fmt::format("{}_{}_{}", count, Plural(name), late);
    Add(Late(steps, length, inner, kept.first), std::move(id),
        fmt::format("the output {} {} {}{}", count == 1 ? "one" : fmt::format("{}", count),
                    count == 1 ? name : Plural(name), late, kept.second),
        3, count == 1 ? 0 : 1);
  }

  const Shape& shape_;
  const std::vector<std::string>& names_;
  Values golden_, actual_;
  Coordinate& coordinate_;
  std::vector<OrderRule>& rules_;
  std::int64_t size_;
};

}  // namespace

std::vector<std::int64_t> SliceSources(Values golden, Values actual, std::int64_t length,
                                       std::int64_t inner) {
  constexpr std::int64_t kBlock = 8;
  constexpr std::int64_t kBlocks = 16;
  const auto size = static_cast<std::int64_t>(golden.size());
  const std::int64_t slice = size / length;
  std::vector<std::int64_t> sources(static_cast<std::size_t>(length));
  for (std::int64_t i = 0; i < length; ++i) sources[static_cast<std::size_t>(i)] = i;
  if (length < 2 || slice < 4) return sources;
  const std::int64_t block = std::min(kBlock, slice);
  const std::int64_t blocks = std::min(kBlocks, slice / block);
  const auto hash_of = [&](Values values, std::int64_t index, std::int64_t which) {
    std::vector<std::int64_t> list;
    const std::int64_t first = which * (slice / blocks);
    for (std::int64_t k = first; k < first + block; ++k) {
      const std::int64_t e = (k / inner * length + index) * inner + k % inner;
      list.push_back(values[static_cast<std::size_t>(e)]);
    }
    const bool flat =
        std::all_of(list.begin(), list.end(), [&](std::int64_t v) { return v == list.front(); });
    return std::pair(flat, HashOfRun(list));
  };
  std::vector<std::map<std::int64_t, int>> votes(sources.size());
  for (std::int64_t which = 0; which < blocks; ++which) {
    std::map<std::uint64_t, std::int64_t> places;
    for (std::int64_t i = 0; i < length; ++i) {
      const auto [place, added] = places.emplace(hash_of(golden, i, which).second, i);
      if (!added) place->second = -1;
    }
    for (std::int64_t i = 0; i < length; ++i) {
      const auto [flat, hash] = hash_of(actual, i, which);
      const auto found = places.find(hash);
      if (flat || found == places.end() || found->second < 0) continue;
      ++votes[static_cast<std::size_t>(i)][found->second];
    }
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    int most = 0;
    int all = 0;
    for (const auto& [source, count] : votes[i]) {
      all += count;
      if (count <= most) continue;
      most = count;
      sources[i] = source;
    }
    if (2 * most <= all) sources[i] = static_cast<std::int64_t>(i);
  }
  return sources;
}

void AddOrderRules(const Shape& shape, const std::vector<std::string>& axis_names, Values golden,
                   Values actual, Coordinate& coordinate, std::vector<OrderRule>& rules) {
  OrderFinder(shape, axis_names, golden, actual, coordinate, rules).Find();
}

}  // namespace qsim::explain
