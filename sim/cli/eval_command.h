// qsim eval --config F --input DIR: accuracy and features over the evaluation images, or how well a
// language model predicts its evaluation tokens
#pragma once

#include <cstdint>
#include <filesystem>

#include "sim/cli/command_line.h"
#include "sim/cli/model_options.h"

namespace qsim::cli {

struct EvalOptions {
  ModelOptions model;            // a configuration and a model to calibrate it on
  std::filesystem::path bundle;  // or a bundle; without model.input on the inputs that it carries
  std::string only;              // "float", "ideal" or "integer"; empty: all three
  std::string kernels = "fast";
  std::filesystem::path
      data;  // class folders of PNG and JPEG files; empty: the manifest's evaluation inputs
  // With data: timm's resize before the centre crop; 0: as the files beside the weights say it,
  // else timm's 0.9.
  double crop_pct = 0;
  std::int64_t images = -1;  // or files of tokens; < 0: all
  std::int64_t tokens = -1;  // of each file, that are predicted; < 0: all
  std::int64_t batch = 64;
  std::filesystem::path state;  // resume from and record to this file
  bool json = false;
  bool verbose = false;
};

Command AddEval(CommandLine& line, EvalOptions& options);

// Returns 0. Throws InputError: labels outside the classes, an image that cannot be
// read, a state file of another run.
int RunEval(const EvalOptions& options);

}  // namespace qsim::cli
