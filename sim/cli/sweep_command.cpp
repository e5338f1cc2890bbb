#include "sim/cli/sweep_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "sim/cli/model_identity.h"
#include "sim/config/config_yaml.h"
#include "sim/error.h"
#include "sim/inputs/input_reader.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/files/path_util.h"
#include "sim/io/files/resume_log.h"
#include "sim/sweep/sweep.h"
#include "sim/sweep/sweep_report.h"

namespace qsim::cli {
namespace {

constexpr std::int64_t kDefaultPoints = 200;
constexpr std::int64_t kImagesOfAPoint = 64;
constexpr const char* kBestFile = "best.yaml";
constexpr const char* kSweepFile = "sweep.json";

std::string BestYaml(const Config& config, const SweepReport& report, const SweepRow& row,
                     int depth) {
  std::string text = fmt::format("# The best of a sweep, objective {}: point {}, {}.\n",
                                 report.objective, row.result.point, MeritOf(report, row.result));
  for (const std::string& setting : row.settings) text += fmt::format("#   {}\n", setting);
  return text + ConfigYaml(config, depth);
}

}  // namespace

Command AddSweep(CommandLine& line, SweepOptions& options) {
  const Command command = line.Add("sweep", "Try many configurations: the Pareto front");
  options.model.scope = "model";
  AddModelOptions(command, options.model);
  command.Get("--config").Required();
  command.Get("--input").Required();
  command.Add("--space", options.space, "Search space, YAML: axes of settings to try")
      .Required()
      .Type("FILE");
  command
      .Add("--points", options.points,
           "Points to try where the space has more (default: the space's, else 200)")
      .Between(1, 1'000'000)
      .Type("N");
  command.Add("--seed", options.seed, "Seed of the draw (default: the space's, else 1)")
      .NotNegative()
      .Type("SEED");
  command.Add("--images", options.images, "Evaluation inputs for each point (default 64)")
      .Positive()
      .Type("N");
  AddTokensOption(command, options.tokens).ShowDefault();
  command
      .Add("--objective", options.objective,
           "qsnr: of the output against float; top1: images of the right class; bits_per_token: of "
           "token files (default: bits_per_token of a language model, else qsnr)")
      .OneOf({"qsnr", "top1", "bits_per_token"})
      .Type("WHAT");
  command.Add("--state", options.state, "Record finished points here, and resume from it")
      .Type("FILE");
  command.Add("--output", options.output, "Directory for best.yaml and sweep.json").Type("DIR");
  command.Flag("--json", options.json, "Print every point as JSON");
  return command;
}

int RunSweep(const SweepOptions& options) {
  std::optional<OutputDirectory> output;
  RequireApart(options.output, {options.model.input});
  if (!options.output.empty()) output.emplace(options.output);
  const LoadedModel loaded = LoadModel(options.model);
  const auto depth = static_cast<int>(loaded.model.depth());
  const SweepSpace space = SweepSpace::Load(options.space, loaded.config, depth);
  const std::int64_t wanted =
      options.points > 0 ? options.points : space.points().value_or(kDefaultPoints);
  const std::uint64_t seed =
      options.seed >= 0 ? static_cast<std::uint64_t>(options.seed) : space.seed();
  const std::int64_t available =
      InputReader(loaded.manifest, loaded.manifest.Evaluation(), InputUse::kEvaluation).count();
  const int threads = loaded.calibrate.threads;
  const InputReader calibration_reader = CalibrationReader(loaded);
  const CalibrationInputs calibration =
      CalibrationShare(loaded, calibration_reader, 0, calibration_reader.count());
  const ModelInputs evaluation = LoadEvaluation(
      loaded.manifest, options.images < 0 ? std::min(kImagesOfAPoint, available) : options.images,
      options.tokens);
  const auto plant = [&](Bundle& bundle) {
    if (loaded.faults.empty()) return;
    loaded.faults.PlantInBundle(loaded.model, calibration_reader.Read(0, 1), bundle);
  };
  const SweepBench bench({loaded.model, calibration, evaluation, loaded.calibrate, plant},
                         loaded.config, threads);
  if (options.objective == "top1" && !bench.has_labels()) {
    throw InputError(fmt::format("--objective top1: needs {}",
                                 bench.has_classes() ? "labels for the evaluation inputs"
                                                     : "the model's logits: --scope model"));
  }
  if (options.objective == "bits_per_token" && !bench.has_bits()) {
    throw InputError(
        "--objective bits_per_token: needs files of token ids and the model's logits: --scope "
        "model");
  }
  SweepReport report;
  Identity identity;
  if (!options.state.empty()) {
    identity = ModelIdentity(options.model, loaded);
    for (auto& part : bench.InputsIdentity()) identity.push_back(std::move(part));
    identity.insert(identity.end(),
                    {{"configuration", Sha256Hex(loaded.config.Canonical() + "\n" +
                                                 ConfigYaml(loaded.config, depth))},
                     {"space", space.Hash()},
                     {"points", std::to_string(wanted)},
                     {"seed", std::to_string(seed)},
                     {"scope", std::string(Name(loaded.calibrate.scope))},
                     {"until", loaded.calibrate.until},
                     {"blocks", fmt::format("{}", fmt::join(loaded.calibrate.blocks, ","))},
                     {"realise", options.model.realise}});
  }
  ResumeLog log(options.state, "sweep 3", identity);
  report.rows = TryAll(bench, loaded.config, space, space.Draw(wanted, seed), threads, log);
  report.space = space.size();
  report.seed = seed;
  report.drawn = space.size() > wanted;
  report.images = bench.images();
  report.tokens = std::holds_alternative<TokenInputs>(evaluation.data);
  report.scope = Name(loaded.calibrate.scope);
  report.objective = !options.objective.empty() ? options.objective
                     : bench.has_bits()         ? "bits_per_token"
                                                : "qsnr";
  if (bench.has_bits()) report.float_bits = bench.float_bits_per_token();
  report.labels = bench.has_labels();
  report.classes = bench.has_classes();
  report.front = ParetoFront(ResultsOf(report.rows),
                             report.objective == "top1"             ? SweepObjective::kTop1
                             : report.objective == "bits_per_token" ? SweepObjective::kBits
                                                                    : SweepObjective::kQsnr);
  if (output) {
    const SweepRow& best = report.rows[report.front.front()];
    WriteFileAtomically(output->path() / kBestFile,
                        BestYaml(ConfigOf(loaded.config, best.settings), report, best, depth));
    WriteFileAtomically(output->path() / kSweepFile, SweepJsonText(report));
    output->Commit();
    report.best_file = (options.output / kBestFile).string();
  }
  SayFileNotes(loaded);
  std::cout << (options.json ? SweepJsonText(report) : FormatSweep(report));
  return 0;
}

}  // namespace qsim::cli
