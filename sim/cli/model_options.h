// The options by which every command that calibrates names its model, data and configuration.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "golden/kernels/choice.h"
#include "sim/bundle/checked_bundle.h"
#include "sim/calibrate/calibrate.h"
#include "sim/cli/command_line.h"
#include "sim/diagnose/faults.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::cli {

struct ModelOptions {
  std::vector<std::filesystem::path> config;
  std::filesystem::path input;
  std::vector<std::string> set;
  std::string scope;  // empty: the smallest that covers every section of the configuration
  std::string until;
  std::string blocks = "all";
  std::string realise = "exact";
  std::vector<std::string> inject;
  std::int64_t min_length = 0;  // of token inputs for calibration
  int threads = 0;              // 0: one for each core
};

// Adds --config, --input, --set, --scope, --until, --blocks, --realise, --min-length and --threads.
void AddModelOptions(const Command& command, ModelOptions& options);
// --threads alone, for commands that run a bundle.
void AddThreadsOption(const Command& command, int& threads);
int ThreadCount(int requested);
// --kernels: fast, reference or an instruction set, which KernelsOf then makes the one to use.
// Throws InputError where the machine does not have it.
void AddKernelsOption(const Command& command, std::string& kernels);
Kernels KernelsOf(const std::string& option);

// For commands that read a bundle or calibrate one: --bundle, and the model's options, of which
// either the bundle or config and input must be given.
void AddBundleOrModelOptions(const Command& command, std::filesystem::path& bundle,
                             ModelOptions& options);
// What those options name. Throws InputError: also for a bundle without layers of --scope.
Bundle LoadBundleOrCalibrate(const std::filesystem::path& bundle, const ModelOptions& options,
                             Edits edits = Edits::kRefuse);

// Everything that the options name, loaded and checked. Faults are planted in the configuration
// already; CalibrateLoaded plants the others.
struct LoadedModel {
  Config config;
  Manifest manifest;
  network::Network model;
  CalibrateOptions calibrate;
  std::int64_t min_length = 0;
  Faults faults;
};
LoadedModel LoadModel(const ModelOptions& options);
// Whether a model reads token ids.
bool ReadsTokens(const network::Network& model);

// The manifest's calibration inputs, with the faults that are planted in them.
ModelInputs LoadCalibration(const LoadedModel& loaded);

// The steps of CalibrateLoaded: the inputs, read in pieces; a share of them, with the faults that
// are planted in them (both arguments must outlive the result); what is noted and planted in the
// bundle.
InputReader CalibrationReader(const LoadedModel& loaded);
CalibrationInputs CalibrationShare(const LoadedModel& loaded, const InputReader& reader,
                                   std::int64_t first, std::int64_t count);
void FinishBundle(const LoadedModel& loaded, const InputReader& reader, Bundle& bundle);
// For what makes many bundles and finishes none: the notes on the files that were loaded.
void SayFileNotes(const LoadedModel& loaded);

// The program and its scales, from the manifest's calibration inputs; without bundle inputs. The
// lengths of token inputs go to stderr and into the notes.
Bundle CalibrateLoaded(const LoadedModel& loaded);

// A bundle; what has been edited, or cannot be told to be, is noted on stderr. Throws InputError.
Bundle OpenBundle(const std::filesystem::path& directory, Edits edits = Edits::kRefuse);
// The same, with every layer of `scope` where that is not empty.
Bundle LoadBundleOfScope(const std::filesystem::path& directory, const std::string& scope,
                         Edits edits = Edits::kRefuse);

// The evaluation inputs. `requested` < 0: the first 8, or all where there are fewer. Of sequences
// of token ids the first `tokens`; < 0: all. Throws InputError when more inputs are asked for than
// there are.
ModelInputs LoadEvaluation(const Manifest& manifest, std::int64_t requested,
                           std::int64_t tokens = -1);
// --tokens: how much of each sequence is taken.
Argument AddTokensOption(const Command& command, std::int64_t& tokens);

}  // namespace qsim::cli
