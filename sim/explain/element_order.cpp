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
    AddTiles();
    for (std::size_t axis = 0; axis < shape_.size(); ++axis) AddSlices(axis);
    AddWords();
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

  // Of the last two axes, each tile written column by column: the sizes that most mismatches fit.
  void AddTiles() {
    constexpr std::int64_t kMost = 256;  // rows or columns of a tile
    const std::size_t axes = shape_.size();
    if (axes < 2 || shape_[axes - 1] < 2 || shape_[axes - 2] < 2) return;
    const std::int64_t rows = shape_[axes - 2];
    const std::int64_t width = shape_[axes - 1];
    const std::vector<std::int64_t> some = Mismatches();
    std::vector<std::pair<std::int64_t, std::int64_t>> sizes;  // the plainer first
    for (std::int64_t n = 2; n <= std::min({rows, width, kMost}); ++n) sizes.emplace_back(n, n);
    for (std::int64_t high = 2; high <= kMost; high *= 2)
      for (std::int64_t wide = 2; wide <= kMost; wide *= 2)
        if (high != wide) sizes.emplace_back(std::min(high, rows), std::min(wide, width));
    std::int64_t best = 0;
    std::pair<std::int64_t, std::int64_t> tile;
    bool whole_only = false;
    for (const auto& [high, wide] : sizes) {
      if (high == rows && wide == width) continue;  // the transposition
      for (const bool whole : {false, true}) {
        std::int64_t explained = 0;
        for (const std::int64_t e : some)
          explained +=
              golden_[static_cast<std::size_t>(InTile(e, rows, width, high, wide, whole))] ==
                      actual_[static_cast<std::size_t>(e)]
                  ? 1
                  : 0;
        if (explained <= best) continue;
        best = explained;
        tile = {high, wide};
        whole_only = whole;
      }
    }
    if (best * 4 < std::ssize(some)) return;
    const auto [high, wide] = tile;
    std::string words =
        high == wide ? fmt::format("the output transposed within each tile of {} x {}", high, wide)
                     : fmt::format(
                           "the output written column by column within each tile of "
                           "{} x {}",
                           high, wide);
    const bool edges = rows % high != 0 || width % wide != 0;
    if (whole_only && edges) words += ", but not within those cut off at an edge";
    Add([rows, width, high = high, wide = wide,
         whole_only](std::int64_t e) { return InTile(e, rows, width, high, wide, whole_only); },
        fmt::format("transposed_in_tiles_of_{}_x_{}", high, wide), std::move(words), 3,
        high == wide ? 1 : 2);
  }

  static std::int64_t InTile(std::int64_t element, std::int64_t rows, std::int64_t width,
                             std::int64_t high, std::int64_t wide, bool whole_only) {
    const std::int64_t row = element / width % rows, col = element % width;
    const std::int64_t first_row = row - row % high, first_col = col - col % wide;
    const std::int64_t h = std::min(high, rows - first_row), w = std::min(wide, width - first_col);
    if (whole_only && (h < high || w < wide)) return element;
    const std::int64_t at = (row - first_row) * w + col - first_col;
    return element + (first_row + at % h - row) * width + first_col + at / h - col;
  }

  // Within words of the flat list, as bytes of memory: what most mismatches fit.
  void AddWords() {
    std::vector<KnownOrder> orders;
    for (const std::int64_t n : {2, 4, 8, 16, 32, 64}) {
      orders.push_back({KnownOrder::Kind::kTileReversed, n});
      orders.push_back({KnownOrder::Kind::kTilesExchanged, n});
    }
    std::int64_t best = 0;
    KnownOrder found;
    const std::vector<std::int64_t> some = Mismatches();
    for (const KnownOrder& order : orders) {
      std::int64_t explained = 0;
      for (const std::int64_t e : some)
        explained += golden_[static_cast<std::size_t>(order.SourceOf(e, size_))] ==
                             actual_[static_cast<std::size_t>(e)]
                         ? 1
                         : 0;
      if (explained <= best) continue;
      best = explained;
      found = order;
    }
    if (best * 2 < std::ssize(some)) return;
    Add([found, size = size_](std::int64_t e) { return found.SourceOf(e, size); },
        "element_" + found.Id(), "the output's " + found.Phrase("elements"), 3, 1);
  }

  // Some of them, evenly spread.
  std::vector<std::int64_t> Mismatches() const {
    constexpr std::size_t kSampled = 256;
    std::vector<std::int64_t> all, some;
    for (std::int64_t e = 0; e < size_; ++e)
      if (golden_[static_cast<std::size_t>(e)] != actual_[static_cast<std::size_t>(e)])
        all.push_back(e);
    for (std::size_t i = 0; i < all.size(); i += all.size() / kSampled + 1) some.push_back(all[i]);
    return some;
  }

  // The order along an axis; where there is none for all of the tensor, of those that indices of
  // other axes have by themselves, as one head of several.
  void AddSlices(std::size_t axis) {
    constexpr std::size_t kOrders = 2;
    constexpr std::size_t kParts = 4;
    const std::int64_t inner = InnerOf(axis);
    std::vector<IndexOrder> orders =
        OrdersOf(SliceSources(golden_, actual_, shape_[axis], inner), Plural(names_[axis]));
    if (orders.size() > kOrders) orders.resize(kOrders);
    if (orders.empty()) {
      for (std::size_t other = 0; other < shape_.size(); ++other)
        if (other != axis) AddOrdersOfParts(axis, other, orders);
      if (orders.size() > kParts) orders.resize(kParts);
    }
    for (IndexOrder& order : orders) {
      const std::int64_t length = shape_[axis];
      Add(
          [length, inner, map = std::move(order.sources)](std::int64_t e) {
            const std::int64_t index = e / inner % length;
            return e + (map[static_cast<std::size_t>(index)] - index) * inner;
          },
          fmt::format("{}_{}", names_[axis], order.id), "the output's " + order.phrase,
          order.freedom > 2 ? 4 : 3, order.freedom);
    }
  }

  // Of the indices of another axis with the most mismatches.
  void AddOrdersOfParts(std::size_t axis, std::size_t other, std::vector<IndexOrder>& orders) {
    constexpr std::size_t kTried = 4;
    const std::int64_t outer = InnerOf(other);
    std::vector<std::pair<std::int64_t, std::int64_t>> ranked(
        static_cast<std::size_t>(shape_[other]));
    for (std::int64_t i = 0; i < shape_[other]; ++i) ranked[static_cast<std::size_t>(i)].second = i;
    for (std::int64_t e = 0; e < size_; ++e)
      if (golden_[static_cast<std::size_t>(e)] != actual_[static_cast<std::size_t>(e)])
        --ranked[static_cast<std::size_t>(e / outer % shape_[other])].first;
    std::sort(ranked.begin(), ranked.end());
    if (ranked.size() > kTried) ranked.resize(kTried);
    std::int64_t inner = InnerOf(axis);
    if (other > axis) inner /= shape_[other];
    for (const auto& [mismatches, index] : ranked) {
      if (mismatches == 0) return;
      std::vector<std::int64_t> golden, actual;
      for (std::int64_t e = 0; e < size_; ++e) {
        if (e / outer % shape_[other] != index) continue;
        golden.push_back(golden_[static_cast<std::size_t>(e)]);
        actual.push_back(actual_[static_cast<std::size_t>(e)]);
      }
      std::vector<IndexOrder> found =
          OrdersOf(SliceSources(golden, actual, shape_[axis], inner), Plural(names_[axis]));
      if (found.empty()) continue;
      const bool known = std::any_of(orders.begin(), orders.end(), [&](const IndexOrder& order) {
        return order.sources == found.front().sources;
      });
      if (!known) orders.push_back(std::move(found.front()));
    }
  }

  // Elements between neighbours along an axis.
  std::int64_t InnerOf(std::size_t axis) const {
    std::int64_t inner = 1;
    for (std::size_t i = axis + 1; i < shape_.size(); ++i) inner *= shape_[i];
    return inner;
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
