#include "sim/cli/sweep_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "sim/cli/sweep_bench.h"
#include "sim/config/config_yaml.h"
#include "sim/error.h"
#include "sim/inputs/input_reader.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/files/resume_log.h"
#include "sim/parallel.h"
#include "sim/report/sweep_report.h"
#include "sim/sweep/space.h"
#include "sim/text/progress.h"

namespace qsim {
namespace {

constexpr std::int64_t kDefaultPoints = 200;
constexpr const char* kBestFile = "best.yaml";
constexpr const char* kSweepFile = "sweep.json";

// Exact, so that a resumed sweep ends as one that was not interrupted.
std::string LineOf(const SweepResult& r) {
  return fmt::format("{:a}\t{}\t{}\t{}\t{}\t{}\t{}", r.qsnr_db, r.correct, r.same_class,
                     r.cost.table_bits, r.cost.weight_bits, r.cost.multiplier_width, r.refused);
}

std::optional<SweepResult> ParseLine(std::int64_t point, const std::string& line) {
  SweepResult r;
  r.point = point;
  std::istringstream in(line);
  std::string qsnr;
  if (!std::getline(in, qsnr, '\t')) return std::nullopt;
  char* end = nullptr;
  r.qsnr_db = std::strtod(qsnr.c_str(), &end);
  if (qsnr.empty() || *end != '\0') return std::nullopt;
  in >> r.correct >> r.same_class >> r.cost.table_bits >> r.cost.weight_bits >>
      r.cost.multiplier_width;
  if (!in || in.get() != '\t') return std::nullopt;
  std::getline(in, r.refused);
  return r;
}

Config ConfigOf(const Config& base, const std::vector<std::string>& settings) {
  Config config = base;
  for (const std::string& setting : settings) config.Set(setting);
  return config;
}

// A row for every point, without figures; the first is the base and changes nothing.
std::vector<SweepRow> RowsOf(const SweepSpace& space, const std::vector<SweepPoint>& points) {
  std::vector<SweepRow> rows(1);
  for (const SweepPoint& point : points) {
    SweepRow row;
    row.point = static_cast<std::int64_t>(rows.size());
    row.settings = space.SettingsOf(point);
    row.changes = space.ChangesOf(point);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<SweepResult> TryAll(const SweepBench& bench, const Config& base,
                                const std::vector<SweepRow>& rows, int threads, ResumeLog& log) {
  std::vector<SweepResult> results(rows.size());
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto found = log.done().find(static_cast<std::int64_t>(i));
    if (found == log.done().end()) {
      missing.push_back(i);
      continue;
    }
    const auto result = ParseLine(found->first, found->second);
    if (!result) log.FailDamaged(found->second);
    results[i] = *result;
  }
  const auto count = static_cast<std::int64_t>(missing.size());
  Progress progress("points", count);
  std::mutex mutex;
  std::int64_t done = 0;
  ParallelFor(count, threads, [&](std::int64_t i, int) {
    const std::size_t index = missing[static_cast<std::size_t>(i)];
    SweepResult result = bench.Try(ConfigOf(base, rows[index].settings));
    result.point = static_cast<std::int64_t>(index);
    const std::lock_guard lock(mutex);
    log.Add(result.point, LineOf(result));
    results[index] = std::move(result);
    progress.Show(++done);
  });
  return results;
}

void FillIn(const std::vector<SweepResult>& results, std::vector<SweepRow>& rows) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const SweepResult& r = results[i];
    SweepRow& row = rows[i];
    row.qsnr_db = r.qsnr_db;
    row.correct = r.correct;
    row.same_class = r.same_class;
    row.table_bits = r.cost.table_bits;
    row.weight_bits = r.cost.weight_bits;
    row.multiplier_width = r.cost.multiplier_width;
    row.refused = r.refused;
  }
}

std::string BestYaml(const Config& config, const SweepOptions& options, const SweepRow& row,
                     int depth) {
  std::string text = fmt::format("# The best of a sweep, objective {}: point {}, {:.2f} dB.\n",
                                 options.objective, row.point, row.qsnr_db);
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
  command.Add("--images", options.images, "Evaluation inputs for each point")
      .Positive()
      .Type("N")
      .ShowDefault();
  command
      .Add("--objective", options.objective,
           "qsnr: of the output against float; top1: images of the right class")
      .OneOf({"qsnr", "top1"})
      .Type("WHAT")
      .ShowDefault();
  command.Add("--state", options.state, "Record finished points here, and resume from it")
      .Type("FILE");
  command.Add("--output", options.output, "Directory for best.yaml and sweep.json").Type("DIR");
  command.Flag("--json", options.json, "Print every point as JSON");
  return command;
}

int RunSweep(const SweepOptions& options) {
  std::optional<OutputDirectory> output;
  if (!options.output.empty()) output.emplace(options.output);
  const LoadedModel loaded = LoadModel(options.model);
  const auto depth = static_cast<int>(loaded.model.depth);
  const SweepSpace space = SweepSpace::Load(options.space, loaded.config, depth);
  const std::int64_t wanted =
      options.points > 0 ? options.points : space.points().value_or(kDefaultPoints);
  const std::uint64_t seed =
      options.seed >= 0 ? static_cast<std::uint64_t>(options.seed) : space.seed();
  const std::int64_t available =
      InputReader(loaded.manifest, loaded.manifest.Evaluation(), InputUse::kEvaluation).count();
  const int threads = loaded.calibrate.threads;
  const SweepBench bench(loaded, std::min(options.images, available), threads);
  if (options.objective == "top1" && !bench.has_labels()) {
    throw InputError(fmt::format("--objective top1: needs {}",
                                 bench.has_classes() ? "labels for the evaluation inputs"
                                                     : "the model's logits: --scope model"));
  }
  SweepReport report;
  report.rows = RowsOf(space, space.Draw(wanted, seed));
  ResumeLog log(options.state, fmt::format("qsim sweep 1 {}",
                                           Sha256Hex(fmt::format("{} {} {} {} {}", bench.Identity(),
                                                                 ConfigYaml(loaded.config, depth),
                                                                 space.Hash(), wanted, seed))));
  const std::vector<SweepResult> results = TryAll(bench, loaded.config, report.rows, threads, log);

  FillIn(results, report.rows);
  report.space = space.size();
  report.seed = seed;
  report.drawn = space.size() > wanted;
  report.images = bench.images();
  report.scope = Name(loaded.calibrate.scope);
  report.objective = options.objective;
  report.labels = bench.has_labels();
  report.classes = bench.has_classes();
  report.front = ParetoFront(
      results, options.objective == "top1" ? SweepObjective::kTop1 : SweepObjective::kQsnr);
  if (output) {
    const SweepRow& best = report.rows[report.front.front()];
    WriteFileAtomically(output->path() / kBestFile,
                        BestYaml(ConfigOf(loaded.config, best.settings), options, best, depth));
    WriteFileAtomically(output->path() / kSweepFile, SweepJsonText(report));
    output->Commit();
    report.best_file = (options.output / kBestFile).string();
  }
  std::cout << (options.json ? SweepJsonText(report) : FormatSweep(report));
  return 0;
}

}  // namespace qsim
