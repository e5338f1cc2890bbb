// Names of enumerators, as configurations, bundles and reports write them: one table per enum, read
// both ways.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace qsim {

template <typename Enum>
struct NamedValue {
  Enum value;
  std::string_view name;
};

// "" for a value outside the table.
template <typename Enum, std::size_t kSize>
constexpr std::string_view NameIn(const std::array<NamedValue<Enum>, kSize>& table, Enum value) {
  for (const auto& entry : table) {
    if (entry.value == value) return entry.name;
  }
  return {};
}

template <typename Enum, std::size_t kSize>
constexpr std::optional<Enum> ValueIn(const std::array<NamedValue<Enum>, kSize>& table,
                                      std::string_view name) {
  for (const auto& entry : table) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}

}  // namespace qsim
