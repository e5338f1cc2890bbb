// qsim explain
#pragma once

#include <filesystem>
#include <string>

#include "sim/cli/command_line.h"
#include "sim/explain/plain_input.h"

namespace qsim::cli {

struct ExplainOptions {
  std::filesystem::path a, b, bundle;
  std::string tap;
  PlainOptions plain;
  int threads = 0;  // 0: one for each core
  bool json = false;
};

// Registers the subcommand and its options.
Command AddExplain(CommandLine& line, ExplainOptions& options);

// Prints what explains the differences on stdout. Returns 0 when there are none, 1 when there are,
// explained or not. Throws InputError for inputs that are missing or do not fit together.
int RunExplain(const ExplainOptions& options);

}  // namespace qsim::cli
