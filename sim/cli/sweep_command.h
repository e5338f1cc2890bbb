// qsim sweep --config F --input DIR --space F: many configurations, and which of them nothing beats
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/cli/command_line.h"
#include "sim/cli/model_options.h"

namespace qsim::cli {

struct SweepOptions {
  ModelOptions model;
  std::filesystem::path space;
  std::int64_t points = -1;      // < 0: what the space says, else 200
  std::int64_t seed = -1;        // < 0: what the space says, else 1
  std::int64_t images = -1;      // < 0: the first 64, or what there are
  std::int64_t tokens = 256;     // of each sequence
  std::string objective;         // empty: bits_per_token of a language model, else qsnr
  std::filesystem::path state;   // resume from and record to this file
  std::filesystem::path output;  // directory: best.yaml, sweep.json
  bool json = false;
};

Command AddSweep(CommandLine& line, SweepOptions& options);

// Returns 0. Throws InputError: a space that no configuration can follow, a base configuration that
// cannot be lowered, objective top1 without labels, a state file of another sweep.
int RunSweep(const SweepOptions& options);

}  // namespace qsim::cli
