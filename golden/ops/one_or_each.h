// Lists that hold one entry for all channels (heads, columns, ...), or one for each of them.
#pragma once

#include <concepts>
#include <cstddef>

namespace qsim::golden {

template <typename List>
constexpr decltype(auto) EntryFor(const List& list, std::integral auto channel) {
  return list[list.size() == 1 ? 0 : static_cast<std::size_t>(channel)];
}

}  // namespace qsim::golden
