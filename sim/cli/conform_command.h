// qsim conform DIR
#pragma once

#include <filesystem>
#include <string>

#include "sim/cli/command_line.h"
#include "sim/namespaces.h"

namespace qsim::cli {

struct ConformOptions {
  std::filesystem::path dir;
  std::string only;
  std::string rtl = "auto";
  bool allow_unsupported = false;
  bool json = false;
};

// Registers the subcommand and its options.
Command AddConform(CommandLine& line, ConformOptions& options);

// Prints the table on stdout. Returns 0 when everything that ran is equal, 1 when anything differs,
// nothing was compared or, without allow_unsupported, an algorithm is unsupported; 2 when a case
// could not be run (each is named on stderr). Throws InputError when there are no cases.
int RunConformCommand(const ConformOptions& options);

}  // namespace qsim::cli
