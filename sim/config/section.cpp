#include "sim/config/section.h"

#include <span>

#include "sim/config/words.h"
#include "sim/error.h"

namespace qsim {
namespace {

template <typename T>
std::string_view FirstWord(std::span<const Word<T>> words, T value) {
  for (const Word<T>& word : words) {
    if (word.value == value) return word.text;
  }
  throw InternalError("configuration value without a word");
}

}  // namespace

std::string_view Name(CalibrationMode mode) {
  return FirstWord<CalibrationMode>(kCalibrationModeWords, mode);
}
std::string_view Name(ObserverKind observer) {
  return FirstWord<ObserverKind>(kObserverWords, observer);
}
std::string_view Name(QuantMethod method) {
  return FirstWord<QuantMethod>(kQuantMethodWords, method);
}
std::string_view Name(RequantMode mode) { return FirstWord<RequantMode>(kRequantModeWords, mode); }
std::string_view Name(WeightGranularity granularity) {
  return FirstWord<WeightGranularity>(kWeightGranularityWords, granularity);
}

std::string_view Name(const RequantRule& rule) {
  return rule.scheme == RequantScheme::kRoundShift ? Name(rule.rounding) : Name(rule.scheme);
}

std::optional<RequantRule> RequantRuleFromName(std::string_view name) {
  if (const auto rounding = RoundingFromName(name)) {
    return RequantRule{RequantScheme::kRoundShift, *rounding};
  }
  const auto scheme = RequantSchemeFromName(name);
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

}  // namespace qsim
