// The words that configuration and contract files may use for a value.
#pragma once

#include <string>
#include <vector>

#include "golden/ops/layernorm.h"
#include "sim/namespaces.h"

namespace qsim::config {

template <typename Enum>
constexpr bool InPrograms(Enum) {
  return true;
}
// Known, but its parameters come from real arithmetic on each row.
constexpr bool InPrograms(LayernormKind kind) { return kind != LayernormKind::kFqvit; }

template <Named Enum>
std::vector<std::string> SettingNames() {
  std::vector<std::string> words;
  for (const auto& [value, name] : kNamesOf<Enum>) {
    if (InPrograms(value)) words.emplace_back(name);
  }
  return words;
}

}  // namespace qsim::config
