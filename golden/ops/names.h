// Names of enumerators, as configurations, bundles and reports write them: one table per enum,
// beside the enum, read both ways.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>

namespace qsim::golden {

template <typename Enum>
struct NamedValue {
  Enum value;
  std::string_view name;
};

// The table of an enum is what NamesOf(Enum) returns, a function beside the enum. Where a value has
// several names, the first is what is written.
template <typename Enum>
concept Named = requires(Enum value) {
  NamesOf(value);
};

template <Named Enum>
inline constexpr auto kNamesOf = NamesOf(Enum{});

// "" for a value outside the table.
template <Named Enum>
constexpr std::string_view Name(Enum value) {
  for (const auto& entry : kNamesOf<Enum>) {
    if (entry.value == value) return entry.name;
  }
  return {};
}

template <Named Enum>
constexpr std::optional<Enum> FromName(std::string_view name) {
  for (const auto& entry : kNamesOf<Enum>) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}

// The values in the order of the table.
template <Named Enum>
constexpr auto AllOf() {
  std::array<Enum, kNamesOf<Enum>.size()> all = {};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = kNamesOf<Enum>[i].value;
  return all;
}

}  // namespace qsim::golden
