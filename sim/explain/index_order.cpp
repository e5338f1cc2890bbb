// Orders of indices: which of the known ones the sources that were found follow.
#include <fmt/format.h>

#include <algorithm>

#include "sim/explain/element_order.h"

namespace qsim::explain {
namespace {

using Sources = std::vector<std::int64_t>;

template <typename F>
Sources Made(std::size_t length, F source) {
  Sources sources(length);
  for (std::size_t i = 0; i < length; ++i) sources[i] = source(static_cast<std::int64_t>(i));
  return sources;
}

std::string RangeText(std::int64_t first, std::int64_t last) {
  return first == last ? fmt::format("{}", first) : fmt::format("{} to {}", first, last);
}

class Orders {
 public:
  Orders(const Sources& found, std::string things) : found_(found), things_(std::move(things)) {
    for (std::size_t i = 0; i < found.size(); ++i)
      moved_ += found[i] != static_cast<std::int64_t>(i) ? 1 : 0;
  }

  std::vector<IndexOrder> Find() {
    if (moved_ == 0) return {};
    AddKnown();
    AddWithinTiles();
    AddWithinRange();
    AddShiftedRange();
    AddExchange();
    AddFound();
    return Sorted();
  }

  // Those of all indices, or within each of their tiles.
  std::vector<IndexOrder> FindRegular() {
    if (moved_ == 0) return {};
    AddKnown();
    AddWithinTiles();
    return Sorted();
  }

 private:
  std::vector<IndexOrder> Sorted() {
    std::stable_sort(orders_.begin(), orders_.end(), [&](const auto& a, const auto& b) {
      return Agreeing(a.sources) > Agreeing(b.sources);
    });
    return std::move(orders_);
  }

  void Add(IndexOrder order) {
    const bool known = std::any_of(orders_.begin(), orders_.end(), [&](const IndexOrder& other) {
      return other.sources == order.sources;
    });
    if (!known) orders_.push_back(std::move(order));
  }

  void AddKnown() {
    const auto length = static_cast<std::int64_t>(found_.size());
    for (const KnownOrder& order : KnownOrders(length)) {
      std::int64_t agreeing = 0;
      for (std::int64_t i = 0; i < length; ++i) {
        const std::int64_t from = found_[static_cast<std::size_t>(i)];
        agreeing += from != i && from == order.SourceOf(i, length) ? 1 : 0;
      }
      if (agreeing * 2 < moved_) continue;
      Add({order.Id(), order.Phrase(things_), order.n > 1 ? 1 : 0,
           Made(found_.size(), [&](std::int64_t i) { return order.SourceOf(i, length); })});
    }
  }

  // The same order within each tile of the smallest size that has one.
  void AddWithinTiles() {
    const auto length = static_cast<std::int64_t>(found_.size());
    const auto from = [&](std::int64_t i) { return found_[static_cast<std::size_t>(i)]; };
    for (std::int64_t n = 2; n <= length / 2; ++n) {
      std::int64_t outside = 0;
      for (std::int64_t i = 0; i < length; ++i) outside += from(i) / n != i / n ? 1 : 0;
      if (outside * 10 > moved_) continue;
      // By index within a tile: its commonest source.
      Sources local;
      for (std::int64_t j = 0; j < n; ++j) {
        Sources list;
        for (std::int64_t i = j; i < length; i += n)
          if (from(i) / n == i / n) list.push_back(from(i) % n);
        local.push_back(Commonest(list, j));
      }
      const auto source = [&](std::int64_t i) {
        const std::int64_t at = i - i % n + local[static_cast<std::size_t>(i % n)];
        return at < length ? at : i;
      };
      if (Agreeing(Made(found_.size(), source)) * 10 < 9 * moved_) continue;
      for (const IndexOrder& order : Orders(local, things_).Find()) {
        local = order.sources;
        Add({fmt::format("{}_in_tiles_of_{}", order.id, n),
             fmt::format("{} within each tile of {}", order.phrase, n), order.freedom + 1,
             Made(found_.size(), source)});
      }
      return;
    }
  }

  static std::int64_t Commonest(Sources list, std::int64_t otherwise) {
    std::sort(list.begin(), list.end());
    std::ptrdiff_t most = 0;
    for (auto at = list.begin(); at != list.end();) {
      const auto end = std::upper_bound(at, list.end(), *at);
      if (end - at > most) otherwise = *at;
      most = std::max(most, end - at);
      at = end;
    }
    return otherwise;
  }

  // A regular order of some neighbouring indices; the first and the last of these may hold their
  // own.
  void AddWithinRange() {
    const auto length = static_cast<std::int64_t>(found_.size());
    const auto own = [&](std::int64_t i) { return found_[static_cast<std::size_t>(i)] == i; };
    std::int64_t first = 0;
    std::int64_t last = length - 1;
    while (own(first)) ++first;
    while (own(last)) --last;
    for (const std::int64_t more : {0, 1}) {
      const std::int64_t from = std::max<std::int64_t>(first - more, 0);
      const std::int64_t to = std::min(last + more, length - 1);
      if (to - from + 1 == length || to - from < 2) return;
      Sources local;
      for (std::int64_t i = from; i <= to; ++i) {
        const std::int64_t source = found_[static_cast<std::size_t>(i)];
        local.push_back(source < from || source > to ? i - from : source - from);
      }
      const std::string these = fmt::format("{} {}", things_, RangeText(from, to));
      for (const IndexOrder& order : Orders(local, these).FindRegular()) {
        Add({fmt::format("{}_to_{}_{}", from, to, order.id), order.phrase, order.freedom + 2,
             Made(found_.size(), [&](std::int64_t i) {
               if (i < from || i > to) return i;
               return order.sources[static_cast<std::size_t>(i - from)] + from;
             })});
      }
    }
  }

  std::int64_t Agreeing(const Sources& sources) const {
    std::int64_t agreeing = 0;
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const auto own = static_cast<std::int64_t>(i);
      if (found_[i] != own && found_[i] == sources[i]) ++agreeing;
      if (found_[i] == own && found_[i] != sources[i]) --agreeing;
    }
    return agreeing;
  }

  // "columns 16 to 23 hold what columns 0 to 7 should"
  void AddShiftedRange() {
    std::int64_t first = -1;
    std::int64_t last = -1;
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (found_[i] == static_cast<std::int64_t>(i)) continue;
      if (first < 0) first = static_cast<std::int64_t>(i);
      last = static_cast<std::int64_t>(i);
    }
    const std::int64_t from = found_[static_cast<std::size_t>(first)];
    const std::int64_t distance = from - first;
    const auto length = static_cast<std::int64_t>(found_.size());
    if (first + distance < 0 || last + distance >= length) return;
    Sources sources = Made(
        found_.size(), [&](std::int64_t i) { return i >= first && i <= last ? i + distance : i; });
    if (Agreeing(sources) * 10 >= 9 * moved_) {
      const std::size_t ending = things_.ends_with("ses") ? 2 : 1;  // biases, columns
      const std::string one = things_.substr(0, things_.size() - ending);
      std::string phrase =
          last == first
              ? fmt::format("{} {} holds what {} {} should", one, first, one, from)
              : fmt::format("{} {} hold what {} {} should", things_, RangeText(first, last),
                            things_, RangeText(from, last + distance));
      orders_.push_back({fmt::format("{}_to_{}_hold_{}", first, last, from), std::move(phrase), 1,
                         std::move(sources)});
    }
    // One that many hold.
    if (last == first) return;
    Sources same =
        Made(found_.size(), [&](std::int64_t i) { return i >= first && i <= last ? from : i; });
    if (Agreeing(same) * 10 >= 9 * moved_)
      orders_.push_back({fmt::format("{}_to_{}_all_hold_{}", first, last, from),
                         fmt::format("{} {} all hold what {} {} should", things_,
                                     RangeText(first, last), things_, from),
                         2, std::move(same)});
  }

  void AddExchange() {
    std::vector<std::int64_t> moved;
    for (std::size_t i = 0; i < found_.size(); ++i)
      if (found_[i] != static_cast<std::int64_t>(i)) moved.push_back(static_cast<std::int64_t>(i));
    if (moved.size() != 2) return;
    const auto at = [&](std::int64_t i) { return found_[static_cast<std::size_t>(i)]; };
    if (at(moved[0]) != moved[1] || at(moved[1]) != moved[0]) return;
    orders_.push_back({fmt::format("{}_and_{}_exchanged", moved[0], moved[1]),
                       fmt::format("{} {} and {} exchanged", things_, moved[0], moved[1]), 2,
                       found_});
  }

  void AddFound() {
    constexpr int kListed = 4;
    std::string list;
    int listed = 0;
    for (std::size_t i = 0; i < found_.size() && listed <= kListed; ++i) {
      if (found_[i] == static_cast<std::int64_t>(i)) continue;
      if (listed++ == kListed) {
        list += ", ...";
      } else {
        list += fmt::format("{}{} holds what {} should", list.empty() ? "" : ", ", i, found_[i]);
      }
    }
    orders_.push_back(
        {"other_order", fmt::format("{} in another order: {}", things_, list), moved_ + 1, found_});
  }

  const Sources& found_;
  std::string things_;
  std::int64_t moved_ = 0;
  std::vector<IndexOrder> orders_;
};

}  // namespace

std::int64_t KnownOrder::SourceOf(std::int64_t i, std::int64_t length) const {
  std::int64_t from = i;
  switch (kind) {
    case Kind::kReversed:
      from = length - 1 - i;
      break;
    case Kind::kRotated:
      from = (i + length - n) % length;
      break;
    case Kind::kTileReversed: {
      const std::int64_t first = i - i % n;
      from = first + std::min(n, length - first) - 1 - i % n;
      break;
    }
    case Kind::kWholeTileReversed:
      if (i < length / n * n) from = i - i % n + n - 1 - i % n;
      break;
    case Kind::kTilesReversed: {
      // The last tile, which may be a short one, comes first.
      const std::int64_t rest = length % n;
      const std::int64_t j = i - rest;
      from = i < rest ? length - rest + i : (length / n - 1 - j / n) * n + j % n;
      break;
    }
    case Kind::kTilesExchanged:
      from = ((i / n) ^ 1) * n + i % n;
      break;
    case Kind::kInterleaved:
      from = i % (length / n) * n + i / (length / n);
      break;
  }
  return from >= 0 && from < length ? from : i;
}

std::string KnownOrder::Id() const {
  switch (kind) {
    case Kind::kReversed:
      return "reversed";
    case Kind::kRotated:
      return fmt::format("rotated_{}", n);
    case Kind::kTileReversed:
      return n == 2 ? "pairs_exchanged" : fmt::format("reversed_in_tiles_of_{}", n);
    case Kind::kWholeTileReversed:
      return fmt::format("reversed_in_whole_tiles_of_{}", n);
    case Kind::kTilesReversed:
      return fmt::format("tiles_of_{}_reversed", n);
    case Kind::kTilesExchanged:
      return fmt::format("tiles_of_{}_exchanged", n);
    case Kind::kInterleaved:
      return fmt::format("interleaved_{}", n);
  }
  return "";
}

std::string KnownOrder::Phrase(const std::string& things) const {
  switch (kind) {
    case Kind::kReversed:
      return things + " in reverse order";
    case Kind::kRotated:
      return fmt::format("{} rotated by {}", things, n);
    case Kind::kTileReversed:
      return n == 2 ? fmt::format("neighbouring {} exchanged", things)
                    : fmt::format("{} in reverse order within each tile of {}", things, n);
    case Kind::kWholeTileReversed:
      return fmt::format("{} in reverse order within each whole tile of {}", things, n);
    case Kind::kTilesReversed:
      return fmt::format("{} in tiles of {} that come in reverse order", things, n);
    case Kind::kTilesExchanged:
      return fmt::format("{} in tiles of {} that neighbours exchange", things, n);
    case Kind::kInterleaved:
      return fmt::format("{} interleaved by {}", things, n);
  }
  return "";
}

std::vector<KnownOrder> KnownOrders(std::int64_t length) {
  using Kind = KnownOrder::Kind;
  std::vector<KnownOrder> orders = {{Kind::kReversed, 0}};
  for (std::int64_t n = 1; n < length; ++n) orders.push_back({Kind::kRotated, n});
  for (std::int64_t n = 2; n <= length / 2; ++n) {
    orders.push_back({Kind::kTileReversed, n});
    orders.push_back({Kind::kTilesReversed, n});
    orders.push_back({Kind::kTilesExchanged, n});
    orders.push_back({length % n == 0 ? Kind::kInterleaved : Kind::kWholeTileReversed, n});
  }
  return orders;
}

std::vector<IndexOrder> OrdersOf(const std::vector<std::int64_t>& sources,
                                 const std::string& things) {
  return Orders(sources, things).Find();
}

}  // namespace qsim::explain
