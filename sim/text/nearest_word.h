// "did you mean": the valid word that a mistyped one most resembles.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qsim::text {

// Levenshtein distance, ignoring ASCII case.
std::size_t EditDistance(std::string_view a, std::string_view b);

// The closest of `words` (the first of equals), or nullopt when none is close enough to be meant.
std::optional<std::string> NearestWord(std::string_view word,
                                       const std::vector<std::string>& words);

// "bits, signed, name": as many as fit a line of an error, at least one, "and 12 more".
std::string SomeOf(const std::vector<std::string>& words);

// "did you mean 'bits'?", or "valid here: bits, signed, name" when nothing is close.
std::string SuggestWord(std::string_view word, const std::vector<std::string>& words);

}  // namespace qsim::text
