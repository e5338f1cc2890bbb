#include "sim/diagnose/causes/places.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "sim/namespaces.h"

namespace qsim::diagnose {
namespace {

constexpr std::size_t kMostRotated = 2048;  // lines: each rotation is one order

std::vector<StackedPart> PartsIn(const Places& places, std::size_t count) {
  return places.parts.empty() ? std::vector<StackedPart>{{0, count, ""}} : places.parts;
}

std::size_t HeadsIn(const Places& places, const StackedPart& part) {
  return places.heads > 1 && part.channels % places.heads == 0 ? places.heads : 1;
}

std::string HeadText(const StackedPart& part, std::size_t head) {
  return fmt::format("head {}{}", head, part.name.empty() ? "" : " of " + part.name);
}

// Where a single line is, beside its number: " (head 1 of K)".
std::string Beside(std::size_t line, std::size_t count, const Places& places) {
  for (const StackedPart& part : PartsIn(places, count)) {
    if (line < part.first || line >= part.first + part.channels) continue;
    const std::size_t heads = HeadsIn(places, part);
    const std::size_t head = (line - part.first) / (part.channels / heads);
    if (heads > 1) return fmt::format(" ({})", HeadText(part, head));
    return part.name.empty() ? "" : fmt::format(" (of {})", part.name);
  }
  return "";
}

// Whole heads or whole parts; empty where it is something else.
std::vector<std::string> Groups(const std::vector<std::size_t>& at, std::size_t count,
                                const Places& places) {
  std::vector<std::string> names;
  std::size_t covered = 0;
  const auto within = [&](std::size_t first, std::size_t size) {
    const auto begin = std::lower_bound(at.begin(), at.end(), first);
    const auto end = std::lower_bound(at.begin(), at.end(), first + size);
    return static_cast<std::size_t>(end - begin) == size;
  };
  for (const StackedPart& part : PartsIn(places, count)) {
    if (!part.name.empty() && within(part.first, part.channels)) {
      names.push_back(part.name);
      covered += part.channels;
      continue;
    }
    const std::size_t heads = HeadsIn(places, part);
    const std::size_t width = part.channels / heads;
    if (heads == 1 || width == 1) continue;
    for (std::size_t h = 0; h < heads; ++h) {
      if (!within(part.first + h * width, width)) continue;
      names.push_back(HeadText(part, h));
      covered += width;
    }
  }
  return covered == at.size() ? names : std::vector<std::string>();
}

std::vector<std::string> Numbers(const std::vector<std::size_t>& at, std::size_t most) {
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i < std::min(at.size(), most); ++i)
    numbers.push_back(std::to_string(at[i]));
  return numbers;
}

// ---- orders ----

// The order of a grid whose axes are exchanged, and then some of them reversed.
Order GridOrder(const std::vector<std::size_t>& grid, const std::vector<std::size_t>& axes,
                std::size_t reversed) {
  std::size_t size = 1;
  for (const std::size_t n : grid) size *= n;
  Order from(size);
  for (std::size_t i = 0; i < size; ++i) {
    std::vector<std::size_t> at(grid.size());  // where line i is in a grid of exchanged axes
    std::size_t rest = i;
    for (std::size_t a = grid.size(); a-- > 0;) {
      const std::size_t n = grid[axes[a]];
      at[axes[a]] = rest % n;
      rest /= n;
    }
    std::size_t line = 0;
    for (std::size_t a = 0; a < grid.size(); ++a)
      line = line * grid[a] + ((reversed >> a & 1) != 0 ? grid[a] - 1 - at[a] : at[a]);
    from[i] = line;
  }
  return from;
}

// How many lines stay together wherever they are; 1: each is by itself.
std::size_t BlockOf(const Order& from) {
  for (std::size_t width = from.size() / 2; width > 1; --width) {
    if (from.size() % width != 0) continue;
    std::size_t moved = 0, together = 0;
    for (std::size_t c = 0; c < from.size(); ++c) {
      if (from[c] == c) continue;
      ++moved;
      const std::size_t middle = from[c / width * width + width / 2];
      together += from[c] % width == c % width && from[c] / width == middle / width;
    }
    if (together * 10 >= moved * 9) return width;
  }
  return 1;
}

const char* AxisName(std::size_t axis, std::size_t axes) {
  constexpr const char* kNames[] = {"colour", "row", "column"};
  return kNames[axis + 3 - axes];
}

void AddGridOrders(const Places& places, std::size_t count, std::vector<NamedOrder>& orders) {
  const std::vector<std::size_t>& grid = places.grid;
  if (grid.empty()) return;
  std::vector<std::size_t> axes(grid.size());
  std::iota(axes.begin(), axes.end(), 0);
  const std::vector<std::size_t> own = axes;
  do {
    for (std::size_t reversed = 0; reversed < std::size_t{1} << grid.size(); ++reversed) {
      std::vector<std::string> words;
      if (axes != own) {
        std::vector<std::string> names, theirs;
        for (std::size_t a = 0; a < grid.size(); ++a) {
          names.emplace_back(AxisName(a, grid.size()));
          theirs.emplace_back(AxisName(axes[a], grid.size()));
        }
        words.push_back(fmt::format("{}s are stored as [{}] in place of [{}]", places.noun,
                                    fmt::join(theirs, ", "), fmt::join(names, ", ")));
      }
      for (std::size_t a = 0; a < grid.size(); ++a) {
        if ((reversed >> a & 1) != 0)
          words.push_back(fmt::format("the {}s are in reverse order", AxisName(a, grid.size())));
      }
      const Order inner = GridOrder(grid, axes, reversed);
      if (inner.size() + places.front > count || Misplaced(inner) == 0) continue;
      Order from(count);
      std::iota(from.begin(), from.end(), 0);
      for (std::size_t i = 0; i < inner.size(); ++i)
        from[places.front + i] = places.front + inner[i];
      orders.push_back({std::move(from), fmt::format("{}", fmt::join(words, ", and "))});
    }
  } while (std::next_permutation(axes.begin(), axes.end()));
}

}  // namespace

std::string Listed(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += i + 1 == items.size() ? " and " : ", ";
    text += items[i];
  }
  return text;
}

std::string PlacesText(const std::vector<std::size_t>& at, std::size_t count,
                       const Places& places) {
  constexpr std::size_t kFew = 4;
  const std::string& noun = places.noun;
  if (at.size() == 1) return fmt::format("{} {}{}", noun, at[0], Beside(at[0], count, places));
  if (at.size() == count) return fmt::format("all {} {}s", count, noun);
  const std::vector<std::string> groups = Groups(at, count, places);
  if (!groups.empty() && groups.size() <= kFew) return Listed(groups);
  if (at.back() - at.front() + 1 == at.size())
    return fmt::format("{}s {} to {}", noun, at.front(), at.back());
  if (at.size() <= kFew) return fmt::format("{}s {}", noun, Listed(Numbers(at, kFew)));
  const std::size_t stride = at[1] - at[0];
  const bool regular = at.front() < stride && at.back() + stride >= count &&
                       std::adjacent_find(at.begin(), at.end(), [&](std::size_t a, std::size_t b) {
                         return b - a != stride;
                       }) == at.end();
  if (regular) return fmt::format("one in {} {}s, from {} on", stride, noun, at.front());
  return fmt::format("{} of {} {}s ({}, ...)", at.size(), count, noun,
                     fmt::join(Numbers(at, kFew), ", "));
}

std::size_t Misplaced(const Order& from) {
  std::size_t count = 0;
  for (std::size_t c = 0; c < from.size(); ++c) count += from[c] != c;
  return count;
}

std::vector<NamedOrder> OrdersOf(std::size_t count, const Places& places) {
  std::vector<NamedOrder> orders;
  const std::string& noun = places.noun;
  const auto add = [&](const std::string& text, const std::function<std::size_t(std::size_t)>& of) {
    Order from(count);
    for (std::size_t c = 0; c < count; ++c) from[c] = of(c);
    if (Misplaced(from) > 0) orders.push_back({std::move(from), text});
  };
  AddGridOrders(places, count, orders);
  const std::vector<StackedPart> parts = PartsIn(places, count);
  const auto in = [](const StackedPart& p, std::size_t c) {
    return c >= p.first && c < p.first + p.channels;
  };
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (std::size_t j = i + 1; j < parts.size(); ++j) {
      const StackedPart &a = parts[i], &b = parts[j];
      if (a.channels != b.channels) continue;
      add(fmt::format("{} and {} are in each other's place", a.name, b.name), [&](std::size_t c) {
        return in(a, c) ? c - a.first + b.first : in(b, c) ? c - b.first + a.first : c;
      });
    }
  }
  for (std::size_t r = 1; r + 1 < parts.size(); ++r) {  // a cycle of equal parts
    const bool equal = std::all_of(parts.begin(), parts.end(), [&](const StackedPart& p) {
      return p.channels == parts[0].channels;
    });
    if (!equal) break;
    const std::size_t width = parts[0].channels;
    std::vector<std::string> words;
    for (std::size_t p = 0; p < parts.size(); ++p)
      words.push_back(
          fmt::format("{} holds what is {}'s", parts[p].name, parts[(p + r) % parts.size()].name));
    add(Listed(words), [&](std::size_t c) { return (c + r * width) % count; });
  }
  // Within one part, then within each of them.
  for (std::size_t only = 0; only <= parts.size(); ++only) {
    if (only < parts.size() && parts.size() == 1) continue;
    const bool each = only == parts.size();
    const StackedPart& first = parts[each ? 0 : only];
    const std::size_t heads = HeadsIn(places, first);
    const std::size_t width = first.channels / heads;
    const std::string of = !each ? " of " + first.name : parts.size() > 1 ? " of each" : "";
    // `move` takes a channel within its part.
    const auto within = [&](const std::string& text,
                            const std::function<std::size_t(std::size_t)>& move) {
      add(text, [&](std::size_t c) {
        for (std::size_t p = 0; p < parts.size(); ++p) {
          if (!in(parts[p], c) || (!each && p != only)) continue;
          if (parts[p].channels != first.channels) return c;
          return parts[p].first + move(c - parts[p].first);
        }
        return c;
      });
    };
    if (heads > 1) {
      for (std::size_t a = 0; a < heads; ++a) {
        for (std::size_t b = a + 1; b < heads; ++b) {
          within(fmt::format("the heads are in another order: heads {} and {}{} are in each "
                             "other's place",
                             a, b, of),
                 [&](std::size_t c) {
                   const std::size_t h = c / width;
                   return (h == a ? b : h == b ? a : h) * width + c % width;
                 });
        }
      }
      for (std::size_t r = 1; r < heads; ++r) {
        within(fmt::format("the heads{} are in another order: rotated by {}", of, r),
               [&](std::size_t c) { return (c / width + r) % heads * width + c % width; });
      }
      within(fmt::format("the heads{} are in another order: reversed", of),
             [&](std::size_t c) { return (heads - 1 - c / width) * width + c % width; });
      const std::string words = fmt::format(
          "the {}s{} are transposed: [head_dim, heads] in place of [heads, head_dim]", noun, of);
      within(words, [&](std::size_t c) { return c % heads * width + c / heads; });
      within(words, [&](std::size_t c) { return c % width * heads + c / width; });
      within(fmt::format("the {}s of each head{} are in reverse order", noun, of),
             [&](std::size_t c) { return c / width * width + (width - 1 - c % width); });
    }
    within(fmt::format("the {}s{} are in reverse order", noun, of),
           [&](std::size_t c) { return first.channels - 1 - c; });
    for (std::size_t r = 1; r < first.channels && count <= kMostRotated; ++r) {
      within(fmt::format("the {}s{} are rotated: {} {} stands in the place of {} 0", noun, of, noun,
                         r, noun),
             [&](std::size_t c) { return (c + r) % first.channels; });
    }
  }
  if (parts.size() > 1) {
    add(fmt::format("the {}s are in reverse order", noun),
        [&](std::size_t c) { return count - 1 - c; });
    for (std::size_t r = 1; r < count && count <= kMostRotated; ++r) {
      add(fmt::format("the {}s are rotated: {} {} stands in the place of {} 0", noun, noun, r,
                      noun),
          [&](std::size_t c) { return (c + r) % count; });
    }
  }
  return orders;
}

std::string OrderText(const Order& from, const Places& places) {
  const std::string& noun = places.noun;
  std::vector<std::size_t> misplaced;
  for (std::size_t c = 0; c < from.size(); ++c) {
    if (from[c] != c) misplaced.push_back(c);
  }
  if (misplaced.empty()) return fmt::format("every {} is in its place", noun);
  if (misplaced.size() == 1) {
    return fmt::format("{} holds what is {} {}'s", PlacesText(misplaced, from.size(), places), noun,
                       from[misplaced[0]]);
  }
  const bool two = misplaced.size() == 2 && from[misplaced[0]] == misplaced[1] &&
                   from[misplaced[1]] == misplaced[0];
  // The one that most of the misplaced agree with: some of them cannot be recognised, and some
  // lines look like others.
  const NamedOrder* best = nullptr;
  std::size_t most = 0;
  const std::vector<NamedOrder> orders = OrdersOf(from.size(), places);
  for (const NamedOrder& order : orders) {
    if (two && places.grid.empty()) break;
    std::size_t agree = 0;
    for (std::size_t c = 0; c < from.size(); ++c) {
      if (from[c] == c && order.from[c] == c) continue;
      agree += from[c] == order.from[c];
    }
    const std::size_t of = std::max(misplaced.size(), Misplaced(order.from));
    if (agree * 10 < of * 9 || agree <= most) continue;
    best = &order;
    most = agree;
  }
  if (best != nullptr) return best->text;
  if (two)
    return fmt::format("{}s {} and {} are in each other's place", noun, misplaced[0], misplaced[1]);
  // One head, or one of several stacked layers, in another's place as well as in its own.
  std::vector<std::size_t> sources;
  for (const std::size_t c : misplaced) sources.push_back(from[c]);
  if (std::is_sorted(sources.begin(), sources.end())) {
    const auto mine = Groups(misplaced, from.size(), places);
    const auto theirs = Groups(sources, from.size(), places);
    if (mine.size() == 1 && theirs.size() == 1)
      return fmt::format("{} holds what is {}'s", mine[0], theirs[0]);
  }
  if (const std::size_t width = BlockOf(from); width > 1) {
    const std::size_t block = misplaced[0] / width;
    return fmt::format(
        "blocks of {} {}s, as heads are, are in another order: block {} stands in "
        "the place of block {}",
        width, noun, from[misplaced[0]] / width, block);
  }
  Order sorted = from;
  std::sort(sorted.begin(), sorted.end());
  const bool permuted = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  return fmt::format("{} {}", PlacesText(misplaced, from.size(), places),
                     permuted ? "are permuted"
                              : fmt::format("hold what is other {}s': {} holds {}'s", noun,
                                            misplaced[0], from[misplaced[0]]));
}

}  // namespace qsim::diagnose
