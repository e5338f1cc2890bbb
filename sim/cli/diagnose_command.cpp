#include "sim/cli/diagnose_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "sim/calibrate/recalibration.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis.h"
#include "sim/diagnose/diagnosis_json.h"
#include "sim/diagnose/diagnosis_text.h"
#include "sim/error.h"
#include "sim/inputs/input_reader.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/files/path_util.h"
#include "sim/report/report_files.h"
#include "sim/run/profile_request.h"
#include "sim/run/run_images.h"
#include "sim/semantics/model_check.h"

namespace qsim::cli {
namespace {

constexpr std::int64_t kMostImages = 16;
constexpr std::int64_t kLeastImages = 2;
constexpr double kPasses =
    40;  // of the whole network for each image, beside the steps' experiments

// As many of the default as the work allows; never more than there are.
std::int64_t ImagesFor(const DiagnoseCommandOptions& options, const Manifest& manifest,
                       const Bundle& bundle, double work) {
  if (options.images > 0) return options.images;
  const InputReader reader(manifest, manifest.Evaluation(), InputUse::kEvaluation);
  const std::int64_t length = std::min(options.tokens, bundle.program.MaxLength());
  const double one =
      kPasses * static_cast<double>(std::max<std::int64_t>(MacsOf(bundle.program, length), 1));
  const auto affordable = static_cast<std::int64_t>(std::min(work / one, 1e9));
  return std::min({std::max(affordable, kLeastImages), kMostImages, reader.count()});
}

// The scope that was asked for, else the widest that the model has.
void ChooseScope(const DiagnoseCommandOptions& options, LoadedModel& loaded) {
  if (!options.model.scope.empty()) return;
  const bool chained = loaded.model.Head() != nullptr && loaded.calibrate.blocks.empty();
  loaded.calibrate.scope = chained ? Scope::kModel : Scope::kBlock;
}

// The smallest that holds every operation of a program.
Scope ScopeOf(const Program& program, const network::Network& model) {
  Scope scope = Scope::kAttention;
  for (const Op& op : program.ops) {
    const network::Node* node = model.NodeOf(OutputOf(op));
    if (node != nullptr) scope = std::max(scope, node->scope);
  }
  return scope;
}

void CheckOptions(const DiagnoseCommandOptions& options) {
  if (options.model.input.empty()) {
    throw InputError("--input DIR is missing: the vectors directory with manifest.yaml");
  }
  if (options.bundle.empty() && options.model.config.empty()) {
    throw InputError("nothing to diagnose: give --config FILE, or --bundle DIR, with --input DIR");
  }
}

void WriteOutput(const Diagnosis& diagnosis, const DiagnosisSubject& subject,
                 const DiagnoseCommandOptions& options, OutputDirectory& output) {
  WriteFileAtomically(output.path() / "diagnosis.json", DiagnosisJsonText(diagnosis));
  if (const auto rewired = RewiringsOf(subject.bundle.program, subject.model); !rewired.empty()) {
    std::cerr << "no report.html: a run beside the model needs operations that read what its do\n";
    return output.Commit();
  }
  const FloatSource floats = {subject.model, subject.inputs};
  RunSettings settings;
  settings.images = subject.inputs.count();
  settings.threads = ThreadCount(options.model.threads);
  settings.profile = RequestProfile(subject.config, false);
  settings.profile->requested = [](const std::string&) { return true; };
  RunReport report = RunImages(subject.bundle, &floats, settings);
  for (const std::filesystem::path& file : options.model.config)
    report.config_files.push_back(file.string());
  report.scope = diagnosis.scope;
  report.input = options.model.input.string();
  report.diagnosis = PageOf(diagnosis);
  WriteReportFiles(report, subject.bundle, output.path());
  output.Commit();
}

void Say(const std::string& text) {
  if (::isatty(STDERR_FILENO) != 0) std::cerr << text << '\n';
}

}  // namespace

Command AddDiagnose(CommandLine& line, DiagnoseCommandOptions& options) {
  const Command command =
      line.Add("diagnose", "Find the step that costs the accuracy, try its repair");
  options.model.scope.clear();
  AddModelOptions(command, options.model);
  const Argument scope = command.Get("--scope");
  scope.Describe(
      "attention, block or model (default: model where the weights have a head, else block)");
  scope.HideDefault();
  const Argument bundle = command
                              .Add("--bundle", options.bundle,
                                   "Diagnose this bundle; --input supplies the float weights")
                              .Type("DIR");
  for (const char* name :
       {"--config", "--set", "--scope", "--until", "--blocks", "--realise", "--inject"}) {
    command.Get(name).Excludes(bundle);
  }
  command
      .Add("--images", options.images,
           "Evaluation inputs, the same for every experiment (default 16, fewer for large "
           "models)")
      .Positive()
      .Type("N");
  AddTokensOption(command, options.tokens).ShowDefault();
  command
      .Add("--output", options.output, "Directory for report.html, report.json and diagnosis.json")
      .Type("DIR");
  command.Flag("--json", options.json, "Print the complete result as JSON");
  command.Flag("--verbose", options.verbose, "List every tap, step and head");
  command.Footer("Exit status: 0 no culprit; 1 a culprit was found; 2 bad input.");
  return command;
}

int RunDiagnose(const DiagnoseCommandOptions& options) {
  CheckOptions(options);
  std::optional<OutputDirectory> output;
  RequireApart(options.output, {options.bundle, options.model.input});
  if (!options.output.empty()) output.emplace(options.output);
  LoadedModel loaded = LoadModel(options.model);
  ChooseScope(options, loaded);
  DiagnoseOptions settings;
  settings.recognise = RecogniseCauses;
  settings.threads = loaded.calibrate.threads;
  settings.bundle = options.bundle.string();
  Say(fmt::format("diagnosing {}", loaded.manifest.model.string()));
  Bundle bundle;
  std::optional<ModelInputs> calibration;
  if (!options.bundle.empty()) {
    bundle = OpenBundle(options.bundle, Edits::kTake);
  } else {
    calibration = LoadCalibration(loaded);
    const auto calibrations = std::make_shared<Recalibration>(
        loaded.model, CalibrationInputs::From(*calibration), loaded.calibrate);
    // The flow's faults stay in it, whatever the configuration says.
    settings.calibrate = [&, calibrations](const Config& config) {
      Bundle result = calibrations->With(config);
      loaded.faults.PlantInBundle(loaded.model, *calibration, result);
      return result;
    };
    bundle = settings.calibrate(loaded.config);
  }
  settings.scope =
      Name(options.bundle.empty() ? loaded.calibrate.scope : ScopeOf(bundle.program, loaded.model));
  const ModelInputs inputs = LoadEvaluation(
      loaded.manifest, ImagesFor(options, loaded.manifest, bundle, settings.work), options.tokens);
  const DiagnosisSubject subject = {loaded.model, bundle, inputs,
                                    options.bundle.empty() ? &loaded.config : nullptr,
                                    calibration ? &*calibration : nullptr};
  const Diagnosis diagnosis = Diagnose(subject, settings);
  if (output) WriteOutput(diagnosis, subject, options, *output);
  std::cout << (options.json ? DiagnosisJsonText(diagnosis)
                             : DiagnosisText(diagnosis, {options.verbose}));
  return diagnosis.healthy() ? 0 : 1;
}

}  // namespace qsim::cli
