#include "sim/cli/calibrate_command.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>

#include "sim/bundle/size_report.h"
#include "sim/cli/calibrate_search.h"
#include "sim/cli/calibrate_shards.h"
#include "sim/error.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/files/path_util.h"
#include "sim/peak_memory.h"
#include "sim/run/run_images.h"
#include "sim/text/printable.h"
#include "sim/text/text_util.h"

namespace qsim::cli {
namespace {

void PrintCost(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << fmt::format("{:.1f} s, peak memory {:.1f} MB\n", seconds.count(),
                           static_cast<double>(PeakMemory()) / 1e6);
}

std::filesystem::path NameOfArtefact(const LoadedModel& loaded) {
  const std::optional<W8a8> w8a8 = loaded.config.W8a8Family();
  if (w8a8) return fmt::format("qsim-{}-w8a8-{}", loaded.manifest.name, Name(w8a8->granularity));
  throw InputError(
      "--output DIR is missing: only a W8A8 configuration (key w8a8) names its bundle");
}

}  // namespace

Command AddCalibrate(CommandLine& line, CalibrateCommandOptions& options) {
  const Command command =
      line.Add("calibrate", "Turn weights, data and a configuration into a bundle");
  AddModelOptions(command, options.model);
  command.Get("--config").Required();
  command.Get("--input").Required();
  command.Add("--images", options.images, "Evaluation inputs to store in the bundle (default 8)")
      .Positive()
      .Type("N");
  AddTokensOption(command, options.tokens);
  command
      .Add("--batch", options.batch,
           "Calibration inputs in one batch. Of the observers, PercentileObserver, "
           "EmaObserver, OmseObserver, KLObserver and PtfObserver depend on it")
      .Between(1, 1 << 20)
      .Type("N")
      .ShowDefault();
  const Argument shard =
      command
          .Add("--shard", options.shard,
               "Calibrate the I-th of N equal shares of the inputs only, and write what "
               "its observers have seen: to the file --output, or into that directory")
          .Type("I/N");
  const Argument merge =
      command
          .Add("--merge", options.merge,
               "Write the bundle of a calibration from all its shards: files, or directories "
               "of them")
          .Excludes(shard)
          .Type("SHARD");
  const Argument grids =
      command
          .Add(
              "--grids", options.grids,
              "Take scales and zero points from this file (qsim export --format grids) in place of "
              "those that would be chosen; tensors that it does not name are chosen as ever")
          .Excludes(shard)
          .Type("FILE");
  command
      .Add("--search", options.search,
           "For so many seconds, try one change of the configuration after the other on the "
           "calibration inputs, and write the configuration found to the file --output")
      .Between(1, 1 << 30)
      .Excludes(shard)
      .Excludes(merge)
      .Excludes(grids)
      .Excludes(command.Get("--until"))
      .Type("SECONDS");
  command
      .Add("--output", options.output,
           "Bundle directory (or shard, or configuration) to write; a W8A8 configuration has a "
           "directory of "
           "its own: qsim-MODEL-w8a8-GRANULARITY")
      .Type("PATH");
  return command;
}

int RunCalibrate(const CalibrateCommandOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  LoadedModel loaded;
  const auto load = [&] {
    loaded = LoadModel(options.model);
    loaded.calibrate.batch = options.batch;
    if (!options.grids.empty()) loaded.calibrate.grids = ReadGrids(options.grids);
  };
  if (!options.shard.empty()) {
    if (options.output.empty()) throw InputError("--shard needs --output: the file to write");
    load();
    std::cout << WriteShard(options.model, loaded, options.shard, options.output).string() << "\n";
    PrintCost(start);
    return 0;
  }
  if (options.search > 0) {
    if (options.output.empty())
      throw InputError("--search needs --output: the configuration file to write");
    load();
    WriteSearched(loaded, options.search, options.output);
    PrintCost(start);
    return 0;
  }
  // A path that cannot be written is better reported before the work than after it.
  std::optional<OutputDirectory> output;
  RequireApart(options.output, {options.model.input});
  if (!options.output.empty()) output.emplace(options.output);
  load();
  if (!output) output.emplace(NameOfArtefact(loaded));
  const ModelInputs inputs = LoadEvaluation(loaded.manifest, options.images, options.tokens);
  Bundle bundle = options.merge.empty() ? CalibrateLoaded(loaded)
                                        : MergeLoaded(options.model, loaded, options.merge);
  AddBundleInputs(bundle, loaded.model, inputs, inputs.count(), loaded.calibrate.threads);
  SaveBundle(bundle, *output);
  std::cout << fmt::format("{}: scope {}, {} operations, {}\n",
                           Escaped(output->final_path().string()), Name(loaded.calibrate.scope),
                           bundle.program.ops.size(),
                           CountInputs(inputs.count(), bundle.program.MaxLength() > 0))
            << Format(SizeOf(bundle)) << '\n';
  PrintCost(start);
  for (const LoweringNote& note : bundle.notes) {
    if (note.kind == LoweringNote::Kind::kInfo) continue;
    std::cout << NoteLine(fmt::format("{}: {}", note.tensor, note.text));
  }
  return 0;
}

}  // namespace qsim::cli
