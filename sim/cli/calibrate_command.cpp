#include "sim/cli/calibrate_command.h"

#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "sim/cli/calibrate_shards.h"
#include "sim/cli/run_images.h"
#include "sim/io/output_directory.h"
#include "sim/peak_memory.h"

namespace qsim {
namespace {

void PrintCost(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << fmt::format("{:.1f} s, peak memory {:.1f} MB\n", seconds.count(),
                           static_cast<double>(PeakMemory()) / 1e6);
}

}  // namespace

CLI::App* AddCalibrate(CLI::App& app, CalibrateCommandOptions& options) {
  CLI::App* command =
      app.add_subcommand("calibrate", "Turn weights, data and a configuration into a bundle");
  AddModelOptions(*command, options.model);
  command->get_option("--config")->required();
  command->get_option("--input")->required();
  command
      ->add_option("--images", options.images,
                   "Evaluation inputs to store in the bundle (default 8)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command
      ->add_option("--batch", options.batch,
                   "Calibration inputs in one batch. Of the observers, PercentileObserver, "
                   "EmaObserver, OmseObserver, KLObserver and PtfObserver depend on it")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  CLI::Option* shard =
      command
          ->add_option("--shard", options.shard,
                       "Calibrate the I-th of N equal shares of the inputs only, and write what "
                       "its observers have seen: to the file --output, or into that directory")
          ->type_name("I/N");
  command
      ->add_option("--merge", options.merge,
                   "Write the bundle of a calibration from all its shards: files, or directories "
                   "of them")
      ->excludes(shard)
      ->type_name("SHARD");
  command->add_option("--output", options.output, "Bundle directory (or shard) to write")
      ->required()
      ->type_name("PATH");
  return command;
}

int RunCalibrate(const CalibrateCommandOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded;
  const auto load = [&] {
    loaded = LoadModel(options.model);
    loaded.calibrate.batch = options.batch;
  };
  if (!options.shard.empty()) {
    load();
    std::cout << WriteShard(loaded, options.shard, options.output).string() << "\n";
    PrintCost(start);
    return 0;
  }
  // A path that cannot be written is better reported before the work than after it.
  OutputDirectory output(options.output);
  load();
  const ModelInputs inputs = LoadEvaluation(loaded.manifest, options.images);
  Bundle bundle =
      options.merge.empty() ? CalibrateLoaded(loaded) : MergeLoaded(loaded, options.merge);
  AddBundleInputs(bundle, loaded.model, inputs, inputs.count(), loaded.calibrate.threads);
  SaveBundle(bundle, output);
  std::cout << fmt::format("{}: {} operations, {} images\n", options.output.string(),
                           bundle.program.ops.size(), inputs.count());
  PrintCost(start);
  for (const LoweringNote& note : bundle.notes) {
    if (note.kind == LoweringNote::Kind::kInfo) continue;
    std::cout << fmt::format("note: {}: {}\n", note.tensor, note.text);
  }
  return 0;
}

}  // namespace qsim
