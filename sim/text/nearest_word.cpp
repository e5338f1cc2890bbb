#include "sim/text/nearest_word.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "sim/namespaces.h"

namespace qsim::text {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// A hostile key may be a megabyte long; nothing that long is a typing mistake.
constexpr std::size_t kLongestWord = 128;
constexpr std::size_t kLongestList = 150;  // of names that are valid, in a line of an error

}  // namespace

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (Lower(a[i - 1]) == Lower(b[j - 1]) ? 0u : 1u);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::optional<std::string> NearestWord(std::string_view word,
                                       const std::vector<std::string>& words) {
  if (word.size() > kLongestWord) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 0, best_letters = 0;
  constexpr std::size_t kMostWords = 20'000;
  for (const std::string& candidate : std::span(words).first(std::min(words.size(), kMostWords))) {
    if (candidate.size() > 2 * kLongestWord) continue;
    const std::size_t letters = EditDistance(word, candidate);
    std::size_t distance = letters;
    // "Percentile" for "PercentileObserver": a beginning is closer than its missing letters say.
    const std::size_t common = std::min(word.size(), candidate.size());
    if (common >= 3 && EditDistance(word.substr(0, common), candidate.substr(0, common)) == 0) {
      distance = std::min<std::size_t>(distance, 1);
    }
    if (!best || std::pair(distance, letters) < std::pair(best_distance, best_letters)) {
      best = candidate;
      best_distance = distance;
      best_letters = letters;
    }
  }
  if (!best || best_distance > std::max<std::size_t>(1, std::max(word.size(), best->size()) / 2)) {
    return std::nullopt;
  }
  return best;
}

std::string SomeOf(const std::vector<std::string>& words) {
  std::string text;
  std::size_t shown = 0;
  for (const std::string& word : words) {
    if (shown > 0 && text.size() + word.size() > kLongestList) break;
    text += fmt::format("{}{}", shown++ == 0 ? "" : ", ", word);
  }
  return shown == words.size() ? text : fmt::format("{} and {} more", text, words.size() - shown);
}

std::string SuggestWord(std::string_view word, const std::vector<std::string>& words) {
  if (const auto nearest = NearestWord(word, words)) {
    return fmt::format("did you mean '{}'?", *nearest);
  }
  return fmt::format("valid here: {}", SomeOf(words));
}

}  // namespace qsim::text
