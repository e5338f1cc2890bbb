// qsim export --bundle B --format F [--output PATH], or --config F --input DIR instead of --bundle
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/calibrate/bundle.h"

namespace qsim {

struct ExportOptions {
  std::filesystem::path bundle;               // either this
  std::vector<std::filesystem::path> config;  // or these two
  std::filesystem::path input;
  std::string format;            // json, csv, yaml, svh, c, memh
  std::filesystem::path output;  // empty: stdout; memh needs a directory
};

// Registers the subcommand and its options; CLI11 refuses both sources together, and neither.
CLI::App* AddExport(CLI::App& app, ExportOptions& options);

// Prints or writes a bundle that was loaded, or calibrated from options.config and options.input.
// Returns 0. Throws InputError.
int RunExport(const ExportOptions& options, const Bundle& bundle);

}  // namespace qsim
