#include "sim/config/section.h"

namespace qsim::config {

std::string_view Name(const RequantRule& rule) {
  return rule.scheme == RequantScheme::kRoundShift ? Name(rule.rounding) : Name(rule.scheme);
}

std::optional<RequantRule> RequantRuleFromName(std::string_view name) {
  if (const auto rounding = FromName<Rounding>(name)) {
    return RequantRule{RequantScheme::kRoundShift, *rounding};
  }
  const auto scheme = FromName<RequantScheme>(name);
  if (!scheme || *scheme == RequantScheme::kRoundShift) return std::nullopt;
  return RequantRule{*scheme, Rounding::kHalfUp};
}

const std::vector<std::string>& RequantRuleNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Rounding rounding : kAllRoundings) all.emplace_back(Name(rounding));
    for (const RequantScheme scheme : kAllRequantSchemes) {
      if (scheme != RequantScheme::kRoundShift) all.emplace_back(Name(scheme));
    }
    return all;
  }();
  return names;
}

}  // namespace qsim::config
