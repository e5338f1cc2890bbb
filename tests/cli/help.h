// What the program says of itself: its commands and what each of them takes.
#pragma once

#include <regex>
#include <string>
#include <vector>

#include "tests/cli/process.h"

namespace qsim::testing {

inline std::vector<std::string> CommandsInHelp() {
  std::vector<std::string> commands;
  bool listed = false;
  for (const std::string& line : Lines(RunQsim({"--help"}, kSourceDir).out)) {
    std::smatch match;
    if (line == "Subcommands:") listed = true;
    if (line.empty()) listed = false;
    if (listed && std::regex_search(line, match, std::regex("^  ([a-z]+)")))
      commands.push_back(match[1]);
  }
  return commands;
}

// An option or positional argument with a value.
struct HelpEntry {
  std::string name, type;
};

inline std::vector<HelpEntry> ValuesInHelp(const std::string& command) {
  std::vector<HelpEntry> entries;
  const std::regex value("^  (--[a-z-]+|[A-Z]+) ([^ =]+)");
  for (const std::string& line : Lines(RunQsim({command, "--help"}, kSourceDir).out)) {
    std::smatch match;
    if (std::regex_search(line, match, value)) entries.push_back({match[1], match[2]});
  }
  return entries;
}

}  // namespace qsim::testing
