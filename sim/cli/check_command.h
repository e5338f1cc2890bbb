// qsim check: is a bundle, or another result of qsim's, as it was written?
#pragma once

#include <filesystem>

#include "sim/cli/command_line.h"

namespace qsim::cli {

struct CheckOptions {
  std::filesystem::path result;
  bool seal = false;
};

Command AddCheck(CommandLine& line, CheckOptions& options);

// Exit status 0: every file is as it was written, and a bundle can be read. Throws InputError for
// one that is not, naming it.
int RunCheck(const CheckOptions& options);

}  // namespace qsim::cli
