// qsim selftest
#pragma once

#include <cstdint>

#include "derivation/batteries.h"
#include "sim/cli/command_line.h"

namespace qsim::cli {

struct SelftestOptions {
  std::uint64_t seed = derivation::kSelftestSeed;
  bool json = false;
};

// Registers the subcommand and its options.
Command AddSelftest(CommandLine& line, SelftestOptions& options);

// Runs every golden operation against its second derivation. Returns 0 when all agree, else 1.
int RunSelftest(const SelftestOptions& options);

}  // namespace qsim::cli
