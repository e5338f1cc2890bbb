#include "sim/network/families/left_out.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/error.h"
#include "sim/text/printable.h"
#include "sim/text/text_util.h"

namespace qsim::network {
namespace {

// `pattern` may have * for any text and ? for any character.
bool Matches(std::string_view name, std::string_view pattern) {
  std::size_t n = 0;
  std::size_t p = 0;
  // The last * and the end of what it stands for so far: a mismatch behind it makes it longer.
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++n;
      ++p;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

// The first name that a pattern of ignore_tensors matches although it must not, or the pattern that
// matches none.
void CheckIgnored(const Checkpoint& checkpoint, const Manifest& manifest,
                  const std::set<std::string>& read, const WhyUnread& why) {
  for (const IgnoredTensors& some : manifest.ignore_tensors) {
    const auto fail = [&](const std::string& what) {
      throw InputError(
          fmt::format("{}:{}: key 'ignore_tensors': {}", manifest.path.string(), some.line, what));
    };
    bool matched = false;
    const auto check = [&](const std::string& stored, std::string_view ours) {
      if (!Matches(stored, some.pattern)) return;
      matched = true;
      if (why(stored, ours)) return;
      fail(fmt::format("'{}' matches '{}', {}", Printable(some.pattern), Printable(stored),
                       read.contains(std::string(ours))
                           ? "with which the network computes"
                           : "which may change what the network computes: only what is known to do "
                             "nothing can be ignored"));
    };
    for (const auto& [ours, stored] : checkpoint.names()) check(stored, ours);
    for (const std::string& stored : checkpoint.unknown()) check(stored, stored);
    if (matched) continue;
    fail(fmt::format("'{}' matches no tensor of {}", Printable(some.pattern),
                     checkpoint.file().path().string()));
  }
}

}  // namespace

bool IsIgnored(const Manifest& manifest, std::string_view stored) {
  return std::any_of(manifest.ignore_tensors.begin(), manifest.ignore_tensors.end(),
                     [&](const IgnoredTensors& some) { return Matches(stored, some.pattern); });
}

std::string Counted(const std::vector<std::string>& names) {
  return (names.size() == 1 ? "tensor " : "tensors ") + FirstOf(names);
}

std::vector<std::string> LeftOut(const Checkpoint& checkpoint, const Manifest& manifest,
                                 const std::set<std::string>& read, const WhyUnread& why,
                                 std::string_view family) {
  CheckIgnored(checkpoint, manifest, read, why);
  std::map<std::string_view, std::vector<std::string>> unread;
  std::vector<std::string> hidden;
  const auto take = [&](const std::string& stored, std::string_view ours) {
    checkpoint.file().CheckFinite(stored);
    if (const auto reason = why(stored, ours)) {
      unread[*reason].push_back(stored);
    } else {
      hidden.push_back(stored);
    }
  };
  for (const auto& [ours, stored] : checkpoint.names()) {
    if (!read.contains(ours)) take(stored, ours);
  }
  for (const std::string& stored : checkpoint.unknown()) take(stored, stored);
  if (!hidden.empty()) {
    throw InputError(
        fmt::format("{}: {}: no layer that {} is known to have; what it computes is "
                    "unknown, so it cannot be left out",
                    checkpoint.file().path().string(), Counted(hidden), family));
  }
  std::vector<std::string> lines;
  for (const auto& [reason, names] : unread)
    lines.push_back(fmt::format("{} left out: {}", Counted(names), reason));
  return lines;
}

}  // namespace qsim::network
