// qsim calibrate --shard and --merge: one calibration, divided.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/cli/model_options.h"

namespace qsim::cli {

// Calibrates one share of the inputs ("2/5") and writes what it has seen to `output`, or into it as
// shard-2-of-5.json if it is a directory. Returns the file. Throws InputError.
std::filesystem::path WriteShard(const ModelOptions& given, const LoadedModel& loaded,
                                 const std::string& shard, const std::filesystem::path& output);

// The bundle that a calibration of all inputs gives, from all its shards: files, or directories of
// them. Throws InputError.
Bundle MergeLoaded(const ModelOptions& given, const LoadedModel& loaded,
                   const std::vector<std::filesystem::path>& shards);

}  // namespace qsim::cli
