// How reports write what JSON has no word for.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace qsim::report {

// A finite number as it is; "inf", "-inf" or "nan" otherwise.
inline nlohmann::ordered_json JsonNumber(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

// null where there is no value.
template <typename T>
nlohmann::ordered_json OrNull(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<T, double>) return JsonNumber(*value);
  return *value;
}

template <typename T, typename F>
nlohmann::ordered_json ListJson(const std::vector<T>& list, F to_json) {
  auto json = nlohmann::ordered_json::array();
  for (const T& entry : list) json.push_back(to_json(entry));
  return json;
}

}  // namespace qsim::report
