// qsim export --bundle B --format F [--output PATH], or --config F --input DIR instead of --bundle
#pragma once

#include <filesystem>
#include <string>

#include "sim/bundle/bundle.h"
#include "sim/cli/command_line.h"
#include "sim/cli/model_options.h"

namespace qsim::cli {

struct ExportOptions {
  std::filesystem::path bundle;  // either this
  ModelOptions model;            // or a model to calibrate
  std::string format;            // json, csv, yaml, svh, c, memh
  std::filesystem::path output;  // empty: stdout; memh needs a directory
};

// Registers the subcommand and its options; both sources together, or neither, is a usage error.
Command AddExport(CommandLine& line, ExportOptions& options);

// Loads the bundle or calibrates the model, and exports it. Returns 0. Throws InputError.
int RunExport(const ExportOptions& options);

// Prints or writes a bundle that is already there; reads only format and output.
int ExportBundle(const ExportOptions& options, const Bundle& bundle);

}  // namespace qsim::cli
