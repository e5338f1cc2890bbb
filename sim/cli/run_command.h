// qsim run --config F --input DIR, or qsim run --bundle B
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/cli/command_line.h"
#include "sim/cli/model_options.h"

namespace qsim::cli {

struct RunOptions {
  ModelOptions model;            // either this
  std::filesystem::path bundle;  // or this
  std::filesystem::path inputs;  // with a bundle: other block inputs
  std::int64_t images = -1;      // < 0: the first 8; with a bundle: all that it carries
  std::int64_t tokens = -1;      // of each input the first ones; < 0: all
  std::string chunk;             // lengths of pieces: "256" or "3,1,64"; empty: kDefaultChunk
  std::string taps = "all";      // with output: "all" or "none"
  std::int64_t batch = 32;
  std::string rtl = "on";
  std::string kernels = "fast";
  double stall_probability = 0;
  std::uint64_t stall_seed = 1;
  std::string rtl_assertions = "first";
  std::filesystem::path output;
  bool memh = false;
  bool profile = false;
  bool json = false;
  bool verbose = false;
};

Command AddRun(CommandLine& line, RunOptions& options);

// Returns 0 when golden and RTL agree in every element, 1 when they do not. Throws InputError.
int RunRun(const RunOptions& options);

}  // namespace qsim::cli
