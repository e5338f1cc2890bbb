// What is fuzzed: every reader of files, and random programs. One list for libFuzzer, for the
// driver of builds without it, and for the tests. docs/reliability.md, "Fuzzing".
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/namespaces.h"

namespace qsim::testing {

struct Target {
  std::string name;
  std::string what;     // in words
  std::string sources;  // what it is there to cover: paths of the tree, with blanks between
  std::function<std::vector<std::string>()> seeds;
  // Returns for an input that is taken, throws InputError for one that is not.
  std::function<void(std::string_view input)> run;
};

const std::vector<Target>& Targets();
// Null where there is none of that name.
const Target* FindTarget(std::string_view name);

// One input: why it was refused, or nothing. Ends the process by abort(), with a line that says
// why, where anything but InputError is thrown, or its message is not one that a person could read.
std::string RunTarget(const Target& target, std::string_view input);

// What both drivers understand beside fuzzing: `list`, `TARGET seeds DIR`, `program BUNDLE`. The
// exit status, or -1 for other words.
int RunWords(const std::vector<std::string>& words);

// One part of the list each.
std::vector<Target> IoTargets();
std::vector<Target> ModelTargets();
std::vector<Target> BundleTargets();
std::vector<Target> ProgramTargets();

}  // namespace qsim::testing
