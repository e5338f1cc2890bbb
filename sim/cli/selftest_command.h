// qsim selftest
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

#include "derivation/batteries.h"

namespace qsim {

struct SelftestOptions {
  std::uint64_t seed = derivation::kSelftestSeed;
  bool json = false;
};

// Registers the subcommand and its options.
CLI::App* AddSelftest(CLI::App& app, SelftestOptions& options);

// Runs every golden operation against its second derivation. Returns 0 when all agree, else 1.
int RunSelftest(const SelftestOptions& options);

}  // namespace qsim
