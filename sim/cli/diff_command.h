// qsim diff A B
#pragma once

#include <cstdint>
#include <filesystem>

#include "sim/cli/command_line.h"
#include "sim/namespaces.h"

namespace qsim::cli {

struct DiffOptions {
  std::filesystem::path a, b;
  bool json = false;
  bool tensors = false;         // list tensors under different contracts too
  std::int64_t max_listed = 0;  // 0: all
};

// Registers the subcommand and its options.
Command AddDiff(CommandLine& line, DiffOptions& options);

// Prints the comparison on stdout. Returns 0 when everything is equal, 1 when anything differs.
// Throws InputError when there is nothing to compare or a file cannot be read.
int RunDiff(const DiffOptions& options);

}  // namespace qsim::cli
