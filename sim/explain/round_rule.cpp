#include "sim/explain/round_rule.h"

#include <fmt/format.h>

#include <cstddef>

namespace qsim::explain {
namespace {

constexpr std::string_view kTfliteDouble = "tflite_double";

constexpr RoundScheme kTwiceAtBit31 = {RoundRule::kHalfAway, RoundScheme::Where::kFixed,
                                       RoundRule::kHalfUp, 31};

// Published schemes beside the names above, with the equations that docs/numerics.md section 4
// proves equal.
struct PublishedScheme {
  std::string_view name;
  RoundScheme scheme;
};
constexpr std::array<PublishedScheme, 8> kPublished = {{
    {"tflite_single", {.last = RoundRule::kHalfUp}},
    {"tosa_scale32", {.last = RoundRule::kHalfUp}},
    {"tosa_scale16", {.last = RoundRule::kHalfUp}},
    {"cmsisnn_s64", {.last = RoundRule::kHalfUp}},
    {"requant_shift", {.last = RoundRule::kHalfUp}},
    {"ita_rtl", {.last = RoundRule::kHalfUp}},
    {"tosa_scale32_double", kTwiceAtBit31},
    {"ibert_dyadic", {.last = RoundRule::kHalfEven}},
}};

}  // namespace

Int128 RoundBy(Int128 value, int shift, RoundRule rule) {
  if (shift == 0) return value;
  constexpr int kNarrow = 62;  // bits of a magnitude, so that a rule's addend fits as well
  if (shift <= kNarrow && value >> kNarrow == (value < 0 ? -1 : 0))
    return Rounder<std::int64_t>(shift, rule)(static_cast<std::int64_t>(value));
  return Rounder<Int128>(shift, rule)(value);
}

std::pair<double, double> ValuesRoundedTo(std::int64_t result, RoundRule rule) {
  const auto t = static_cast<double>(result);
  switch (rule) {
    case RoundRule::kFloor:
      return {t, t + 1};
    case RoundRule::kCeil:
      return {t - 1, t};
    case RoundRule::kTowardZero:
      return {result > 0 ? t : t - 1, result < 0 ? t : t + 1};
    case RoundRule::kAwayFromZero:
      return {result > 0 ? t - 1 : t, result < 0 ? t + 1 : t};
    case RoundRule::kFloorPlusOne:
      return {t - 1, t};
    case RoundRule::kHalfThenTowardZero:
      return {result > 0 ? t - 0.5 : t - 1.5, result < 0 ? t - 0.5 : t + 0.5};
    case RoundRule::kHalfUp:
    case RoundRule::kHalfAway:
    case RoundRule::kHalfEven:
    case RoundRule::kHalfDown:
    case RoundRule::kHalfTowardZero:
    case RoundRule::kIta:
      break;
  }
  return {t - 0.5, t + 0.5};
}

std::string NameOf(const RoundScheme& scheme) {
  const std::string_view last = Name(scheme.last);
  const std::string_view first = Name(scheme.first);
  switch (scheme.where) {
    case RoundScheme::Where::kSingle:
      return std::string(last);
    case RoundScheme::Where::kNormalized:
      if (scheme.first == kTwiceAtBit31.first && scheme.last == kTwiceAtBit31.last)
        return "tflite_double with M normalized to 31 bits";
      return fmt::format("{} at bit 31 with M normalized to 31 bits, then {}", first, last);
    case RoundScheme::Where::kFixed:
      if (scheme == kTwiceAtBit31) return std::string(kTfliteDouble);
      return fmt::format("{} at bit {}, then {}", first, scheme.at, last);
    case RoundScheme::Where::kRemaining:
      return fmt::format("{} with {} {} left, then {}", first, scheme.at,
                         scheme.at == 1 ? "bit" : "bits", last);
  }
  return {};
}

std::string SchemePhrase(const RoundScheme& scheme) {
  if (scheme == RoundScheme{.last = RoundRule::kHalfThenTowardZero})
    return "half added, then divided toward zero, (p + 2^(S-1)) / 2^S as C divides,";
  return NameOf(scheme);
}

std::optional<RoundScheme> RoundSchemeFromName(std::string_view name) {
  if (name == kTfliteDouble) return kTwiceAtBit31;
  for (const PublishedScheme& published : kPublished)
    if (published.name == name) return published.scheme;
  const std::optional<RoundRule> rule = FromName<RoundRule>(name);
  if (!rule) return std::nullopt;
  return RoundScheme{.last = *rule};
}

std::string RoundSchemeNames() {
  std::string names;
  for (const RoundRule rule : kAllRoundRules) names += std::string(Name(rule)) + ", ";
  for (const PublishedScheme& published : kPublished) names += std::string(published.name) + ", ";
  return names + std::string(kTfliteDouble);
}

std::string PublishedAs(const RoundScheme& scheme) {
  std::string names;
  for (const PublishedScheme& published : kPublished) {
    if (published.scheme == scheme)
      names += (names.empty() ? "" : ", ") + std::string(published.name);
  }
  return names;
}

int FirstShift(const RoundScheme& scheme, int shift, int multiplier_bits) {
  int first = 0;
  if (scheme.where == RoundScheme::Where::kNormalized) first = multiplier_bits;
  if (scheme.where == RoundScheme::Where::kFixed) first = scheme.at;
  if (scheme.where == RoundScheme::Where::kRemaining) first = shift - scheme.at;
  if (first < 0) return 0;
  return first < shift ? first : shift;
}

Int128 RoundWith(const RoundScheme& scheme, Int128 value, int shift, int multiplier_bits) {
  const int first = FirstShift(scheme, shift, multiplier_bits);
  if (first != 0) value = RoundBy(value, first, scheme.first);
  return RoundBy(value, shift - first, scheme.last);
}

}  // namespace qsim::explain
