#include "sim/cli/model_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <set>
#include <string_view>
#include <thread>

#include "golden/kernels/instruction_set.h"
#include "sim/calibrate/plan/scope_coverage.h"
#include "sim/error.h"
#include "sim/inputs/input_reader.h"
#include "sim/network/families/families.h"
#include "sim/run/pieces.h"
#include "sim/text/nearest_word.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::cli {
namespace {

constexpr std::int64_t kDefaultImages = 8;

// "0,2" or "all"; empty means all.
std::vector<std::int64_t> ParseBlocks(const std::string& text, std::int64_t depth) {
  if (text == "all") return {};
  std::set<std::int64_t> blocks;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const auto block = ParseIndex(item);
    if (!block || *block >= depth) {
      throw InputError(fmt::format(
          "--blocks: '{}' is not a block of this model; give 'all' or numbers in 0..{}, "
          "such as 0,{}",
          Printable(item), depth - 1, depth - 1));
    }
    blocks.insert(*block);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return {blocks.begin(), blocks.end()};
}

Scope ParseScope(const std::string& name) {
  if (const auto scope = FromName<Scope>(name)) return *scope;
  throw InputError(fmt::format("--scope: unknown scope '{}'; {}", name,
                               SuggestWord(name, {"attention", "block", "model"})));
}

// --blocks narrows on purpose, and a chained program has every block.
Scope ChosenScope(const ModelOptions& options, const Config& config,
                  const network::Network& model) {
  const bool whole = std::ranges::all_of(
      model.nodes(), [](const network::Node& node) { return node.scope == Scope::kModel; });
  if (whole && !options.scope.empty() && ParseScope(options.scope) != Scope::kModel) {
    throw InputError(fmt::format("--scope {}: this model runs as a whole: model", options.scope));
  }
  if (whole) return Scope::kModel;
  const bool narrowed = options.blocks != "all";
  if (options.scope.empty()) {
    const Scope smallest = SmallestScope(config, model.Head() != nullptr);
    return narrowed ? std::min(smallest, Scope::kBlock) : smallest;
  }
  const Scope scope = ParseScope(options.scope);
  RequireCovered(config, scope, narrowed, model);
  return scope;
}

// A manifest's geometry with everything that the weights have told.
Geometry StatedBy(const network::Network& model, Geometry geometry) {
  for (const network::Node& node : model.nodes()) {
    if (std::holds_alternative<network::Pixels>(node.function)) {
      geometry.channels = node.shape[0];
      geometry.image = node.shape[1];
    }
    if (const auto* tokens = std::get_if<network::Tokens>(&node.function))
      geometry.vocabulary = tokens->vocabulary;
    if (const auto* patches = std::get_if<network::Patches>(&node.function))
      geometry.patch = patches->size;
    if (node.stream) {
      geometry.tokens = node.shape[0];
      geometry.dim = node.shape[1];
    }
  }
  geometry.depth = model.depth();
  if (model.Logits() != nullptr) geometry.classes = model.Logits()->shape.back();
  return geometry;
}

std::vector<LoweringNote> FileNotes(const LoadedModel& loaded) {
  std::vector<LoweringNote> notes;
  for (const std::string& text : loaded.model.notes)
    notes.push_back({LoweringNote::Kind::kInfo, "model", text});
  for (const std::string& text : loaded.manifest.notes)
    notes.push_back({LoweringNote::Kind::kInfo, "inputs", text});
  return notes;
}

void Say(const std::vector<LoweringNote>& notes) {
  for (const LoweringNote& note : notes) {
    if (note.tensor == "model" || note.tensor == "inputs") std::cerr << NoteLine(note.text);
  }
}

// What was assumed, rewritten or left out of files, and what of them is hardly meant, is said by
// every command and stays in the bundle, in front. Behind the work: a calibration that fails leaves
// its one line of error.
void NoteFiles(const LoadedModel& loaded, const InputReader& calibration, Bundle& bundle) {
  const std::vector<LoweringNote> notes = FileNotes(loaded);
  bundle.notes.insert(bundle.notes.begin(), notes.begin(), notes.end());
  Say(bundle.notes);
  if (!calibration.lengths()) return;
  const std::string text = Format(*calibration.lengths(), "calibration");
  std::cerr << text << '\n';
  bundle.notes.push_back({LoweringNote::Kind::kInfo, "inputs", text});
}

// Sections of a family's other networks come with its configurations, so that they are no error.
void NoteForeignSections(const Config& config, const network::Network& network, Bundle& bundle) {
  const auto others = SectionsOfOtherNetworks(config, network);
  if (others.empty()) return;
  const std::string text =
      fmt::format("without effect, since this network has no such layers: {}", SomeOf(others));
  bundle.notes.insert(bundle.notes.begin(), {LoweringNote::Kind::kInfo, "config", text});
  std::cerr << NoteLine(text);
}

void NoteCutSections(const Config& config, const network::Network& network, Bundle& bundle) {
  const auto cut = SectionsWithoutTensor(config, bundle.program, network);
  if (cut.empty()) return;
  bundle.notes.push_back({LoweringNote::Kind::kInfo, "config",
                          fmt::format("sections of layers that --until or --blocks leaves out: {}",
                                      fmt::join(cut, ", "))});
}

}  // namespace

bool ReadsTokens(const network::Network& model) {
  return std::any_of(model.nodes().begin(), model.nodes().end(), [](const network::Node& node) {
    return std::holds_alternative<network::Tokens>(node.function);
  });
}

void AddThreadsOption(const Command& command, int& threads) {
  command
      .Add("--threads", threads,
           "Worker threads (default: one for each core); results do not depend on it")
      .Between(1, 1024)
      .Type("N");
}

void AddKernelsOption(const Command& command, std::string& kernels) {
  command
      .Add("--kernels", kernels,
           "Who runs the golden model: the 'fast' kernels, on the best instruction set or the one "
           "named (avx512_vnni, avx512, avx2, sse4, neon, portable), or the 'reference'; the same "
           "bits")
      .Type("KERNELS")
      .ShowDefault();
}

Kernels KernelsOf(const std::string& option) {
  if (const auto kernels = FromName<Kernels>(option)) return *kernels;
  try {
    kernels::UseInstructionSet(option);
  } catch (const std::invalid_argument&) {
    throw InputError(
        fmt::format("--kernels: '{}' is none of fast, reference and {}, which this "
                    "machine can run",
                    option, fmt::join(kernels::InstructionSets(), ", ")));
  }
  return Kernels::kFast;
}

int ThreadCount(int requested) {
  if (requested > 0) return requested;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

void AddModelOptions(const Command& command, ModelOptions& options) {
  command.Add("--config", options.config, "Configuration, YAML; repeatable, later files win")
      .Type("FILE")
      .OneEach();
  command
      .Add("--input", options.input,
           "Vectors directory: weights, data, and manifest.yaml or config.json")
      .Type("DIR");
  command.Add("--set", options.set, "Override one setting, e.g. hardware.acc_bits=24; repeatable")
      .Type("KEY=VALUE")
      .OneEach();
  command
      .Add(
          "--scope", options.scope,
          "attention (norm1 to residual1 of each block), block (to residual2), or model (pixels to "
          "logits, chained); default: the smallest that covers every section of the configuration")
      .Type("SCOPE");
  command.Add("--until", options.until, "End the program at this tap").Type("TAP");
  command.Add("--blocks", options.blocks, "Blocks to run: 'all' or e.g. 0,2")
      .Type("LIST")
      .ShowDefault();
  command
      .Add("--realise", options.realise,
           "What to do with a granularity that integers cannot realise: 'exact' rejects it, "
           "'nearest' "
           "substitutes and lists it")
      .OneOf({"exact", "nearest"})
      .Type("HOW")
      .ShowDefault();
  command
      .Add("--min-length", options.min_length,
           "Leave out calibration inputs of fewer tokens; for token inputs")
      .Positive()
      .Type("N");
  command
      .Add("--inject", options.inject,
           "Plant a fault, e.g. clipping or scale_mismatch@blocks.0.attn_k_out; repeatable")
      .Type("FAULT")
      .OneEach();
  AddThreadsOption(command, options.threads);
}

LoadedModel LoadModel(const ModelOptions& options) {
  Manifest manifest = Manifest::Load(options.input);
  // The words of a vision transformer are known before its weights: what is wrong with a
  // configuration is said before they are read.
  const bool vit = network::IsVisionTransformer(manifest);
  network::Network model;
  if (!vit) model = network::LoadNetwork(manifest);
  Config config = Config::Load(options.config, vit ? VitSections() : model.Vocabulary());
  for (const std::string& setting : options.set) config.Set(setting);
  Faults faults(options.inject);
  if (vit) model = network::LoadNetwork(manifest);
  // Inputs are checked against the model, not only against what the manifest happens to say.
  manifest.geometry = StatedBy(model, manifest.geometry);
  faults.PlantInConfig(model, config);
  CalibrateOptions calibrate;
  // Without a configuration nothing is calibrated.
  if (!options.config.empty()) calibrate.scope = ChosenScope(options, config, model);
  calibrate.until = options.until;
  calibrate.blocks = ParseBlocks(options.blocks, model.depth());
  calibrate.realise = options.realise == "nearest" ? Realise::kNearest : Realise::kExact;
  calibrate.threads = ThreadCount(options.threads);
  return {std::move(config),    std::move(manifest), std::move(model),
          std::move(calibrate), options.min_length,  std::move(faults)};
}

ModelInputs LoadCalibration(const LoadedModel& loaded) {
  ModelInputs inputs = LoadInputs(loaded.manifest, loaded.manifest.Calibration(),
                                  InputUse::kCalibration, loaded.min_length);
  loaded.faults.PlantInCalibration(inputs);
  return inputs;
}

InputReader CalibrationReader(const LoadedModel& loaded) {
  return {loaded.manifest, loaded.manifest.Calibration(), InputUse::kCalibration,
          loaded.min_length};
}

CalibrationInputs CalibrationShare(const LoadedModel& loaded, const InputReader& reader,
                                   std::int64_t first, std::int64_t count) {
  CalibrationInputs inputs =
      CalibrationInputs::From(reader, loaded.manifest.Calibration(), first, count);
  if (loaded.faults.empty()) return inputs;
  inputs.read = [read = inputs.read, &loaded](std::int64_t from, std::int64_t most) {
    ModelInputs piece = read(from, most);
    loaded.faults.PlantInCalibration(piece);
    return piece;
  };
  return inputs;
}

Bundle CalibrateLoaded(const LoadedModel& loaded) {
  const InputReader reader = CalibrationReader(loaded);
  Bundle bundle = Calibrate(loaded.model, loaded.config,
                            CalibrationShare(loaded, reader, 0, reader.count()), loaded.calibrate);
  FinishBundle(loaded, reader, bundle);
  return bundle;
}

void SayFileNotes(const LoadedModel& loaded) { Say(FileNotes(loaded)); }

void FinishBundle(const LoadedModel& loaded, const InputReader& reader, Bundle& bundle) {
  NoteFiles(loaded, reader, bundle);
  NoteForeignSections(loaded.config, loaded.model, bundle);
  NoteCutSections(loaded.config, loaded.model, bundle);
  if (loaded.faults.empty()) return;
  loaded.faults.PlantInBundle(loaded.model, reader.Read(0, 1), bundle);
}

Argument AddTokensOption(const Command& command, std::int64_t& tokens) {
  return command.Add("--tokens", tokens, "Of each sequence of token ids the first N")
      .Positive()
      .Type("N");
}

ModelInputs LoadEvaluation(const Manifest& manifest, std::int64_t requested, std::int64_t tokens) {
  const InputReader reader(manifest, manifest.Evaluation(), InputUse::kEvaluation);
  const std::int64_t available = reader.count();
  if (requested > available) {
    throw InputError(fmt::format("--images {}: {} has {} evaluation inputs", requested,
                                 manifest.path.string(), available));
  }
  ModelInputs inputs =
      reader.Read(0, requested < 0 ? std::min(kDefaultImages, available) : requested);
  if (tokens > 0) KeepFirst(inputs, tokens);
  return inputs;
}

void AddBundleOrModelOptions(const Command& command, std::filesystem::path& bundle,
                             ModelOptions& options) {
  const Argument from_bundle =
      command.Add("--bundle", bundle, "Bundle written by qsim calibrate").Type("DIR");
  AddModelOptions(command, options);
  const Argument config = command.Get("--config").Excludes(from_bundle);
  const Argument input = command.Get("--input").Excludes(from_bundle);
  config.Needs(input);
  input.Needs(config);
  for (const char* name : {"--set", "--blocks", "--realise", "--min-length"}) {
    command.Get(name).Excludes(from_bundle);
  }
}

Bundle OpenBundle(const std::filesystem::path& directory, Edits edits) {
  std::vector<std::string> notes;
  Bundle bundle = OpenBundle(directory, edits, notes);
  for (const std::string& note : notes) std::cerr << NoteLine(note);
  return bundle;
}

Bundle LoadBundleOfScope(const std::filesystem::path& directory, const std::string& scope,
                         Edits edits) {
  Bundle bundle = OpenBundle(directory, edits);
  // One with a run-time length is of a model that runs as a whole.
  if (!scope.empty() && bundle.program.MaxLength() == 0)
    RequireScope(bundle.program, ParseScope(scope), directory.string(), VitSections());
  return bundle;
}

Bundle LoadBundleOrCalibrate(const std::filesystem::path& bundle, const ModelOptions& options,
                             Edits edits) {
  if (!bundle.empty()) return LoadBundleOfScope(bundle, options.scope, edits);
  return CalibrateLoaded(LoadModel(options));
}

}  // namespace qsim::cli
