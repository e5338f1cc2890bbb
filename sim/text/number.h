// Numbers as people write them, in options and in files: one reading of them for all.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

#include "sim/namespaces.h"

namespace qsim::text {

// The number that all of `text` is: decimal, finite, in the range of Value; a sign may stand in
// front. nullopt for anything else: blanks, an exponent of an integer, hexadecimal, and leading
// zeros, which are octal elsewhere.
template <typename Value>
std::optional<Value> ParseNumber(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);  // from_chars knows none
    if (text.starts_with('-')) return std::nullopt;
  }
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9')
    return std::nullopt;
  Value value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  if constexpr (std::floating_point<Value>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

// A number that is part of a name, which has one spelling: no sign.
inline std::optional<int> ParseIndex(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) return std::nullopt;
  return ParseNumber<int>(text);
}

}  // namespace qsim::text
