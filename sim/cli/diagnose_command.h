// qsim diagnose --config F --input DIR, or qsim diagnose --bundle B --input DIR
#pragma once

#include <cstdint>
#include <filesystem>

#include "sim/cli/command_line.h"
#include "sim/cli/model_options.h"

namespace qsim::cli {

struct DiagnoseCommandOptions {
  ModelOptions model;            // scope: empty for the default
  std::filesystem::path bundle;  // diagnosed in place of a fresh calibration
  std::int64_t images = -1;      // < 0: the first 16, fewer for large models
  std::int64_t tokens = 256;     // of each sequence
  std::filesystem::path output;
  bool json = false;
  bool verbose = false;
};

Command AddDiagnose(CommandLine& line, DiagnoseCommandOptions& options);

// Returns 0 when no culprit was found, 1 when one was. Throws InputError.
int RunDiagnose(const DiagnoseCommandOptions& options);

}  // namespace qsim::cli
