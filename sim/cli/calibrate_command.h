// qsim calibrate --config F --input DIR --output BUNDLE
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>

#include "sim/cli/model_options.h"

namespace qsim {

struct CalibrateCommandOptions {
  ModelOptions model;
  std::int64_t batch = 32;   // calibration inputs in one batch of the observers
  std::int64_t images = -1;  // evaluation inputs to store; < 0: the default
  std::filesystem::path output;
};

CLI::App* AddCalibrate(CLI::App& app, CalibrateCommandOptions& options);

// Writes a bundle with quantized inputs. Returns 0; throws InputError.
int RunCalibrate(const CalibrateCommandOptions& options);

}  // namespace qsim
