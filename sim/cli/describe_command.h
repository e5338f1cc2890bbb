// qsim describe --bundle B, or --config F --input DIR instead
#pragma once

#include <filesystem>
#include <string>

#include "sim/cli/command_line.h"
#include "sim/cli/model_options.h"

namespace qsim::cli {

struct DescribeOptions {
  std::filesystem::path bundle;  // either this
  ModelOptions model;            // or a model to calibrate
  std::string tap;
};

// Registers the subcommand and its options; both sources together, or neither, is a usage error.
Command AddDescribe(CommandLine& line, DescribeOptions& options);

// Prints the program as equations. Returns 0. Throws InputError.
int RunDescribe(const DescribeOptions& options);

}  // namespace qsim::cli
