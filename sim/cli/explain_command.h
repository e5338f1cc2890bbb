// qsim explain
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "sim/explain/plain_input.h"

namespace qsim {

struct ExplainOptions {
  std::filesystem::path a, b, bundle;
  std::string tap;
  PlainOptions plain;
  bool json = false;
};

// Registers the subcommand and its options.
CLI::App* AddExplain(CLI::App& app, ExplainOptions& options);

// Prints what explains the differences on stdout. Returns 0 when there are none, 1 when there are,
// explained or not. Throws InputError for inputs that are missing or do not fit together.
int RunExplain(const ExplainOptions& options);

}  // namespace qsim
