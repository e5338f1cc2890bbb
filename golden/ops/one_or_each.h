// Lists that hold one entry for all channels (heads, columns, ...), or one for each of them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace qsim::golden {

template <typename List>
constexpr decltype(auto) EntryFor(const List& list, std::integral auto channel) {
  return list[list.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
}

// Where there are fewer, neighbours share: which of the fewer goes with one of so many heads.
constexpr std::int64_t ShareOf(std::int64_t head, std::int64_t heads, std::int64_t fewer) {
  return head * fewer / heads;
}

}  // namespace qsim::golden
