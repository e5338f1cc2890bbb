// qsim calibrate --config F --input DIR [--shard I/N | --merge SHARD... | --search SECONDS]
// --output BUNDLE
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/cli/command_line.h"
#include "sim/cli/model_options.h"

namespace qsim::cli {

struct CalibrateCommandOptions {
  ModelOptions model;
  std::int64_t batch = 32;                   // calibration inputs in one batch of the observers
  std::int64_t images = -1;                  // evaluation inputs to store; < 0: the default
  std::int64_t tokens = -1;                  // of each sequence the first ones; < 0: all
  std::string shard;                         // "2/5": calibrate that share only
  std::vector<std::filesystem::path> merge;  // shards, instead of calibrating
  std::filesystem::path grids;               // a file of grids to take; empty: none
  std::int64_t search = 0;                   // seconds to look for a better configuration; 0: none
  std::filesystem::path output;
};

Command AddCalibrate(CommandLine& line, CalibrateCommandOptions& options);

// Writes a bundle with quantized inputs, a shard, or the configuration that a search found. Returns
// 0; throws InputError.
int RunCalibrate(const CalibrateCommandOptions& options);

}  // namespace qsim::cli
