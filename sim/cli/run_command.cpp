#include "sim/cli/run_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/bundle/size_report.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/files/path_util.h"
#include "sim/io/tensors/memh.h"
#include "sim/io/tensors/npy.h"
#include "sim/io/tensors/npy_stack.h"
#include "sim/report/report_files.h"
#include "sim/report/report_json.h"
#include "sim/report/run_report_text.h"
#include "sim/run/profile_request.h"
#include "sim/run/run_images.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"
#include "sim/text/text_util.h"

namespace qsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultWaves = "qsim-waves";

// The narrowest width of a tensor's integers, for $readmemh.
int MemhBits(const TensorInfo& info) {
  if (info.dtype == DType::kInt32) return BitsFor({info.range.qmin, info.range.qmax});
  return BitsOf(info.dtype);
}

// ROOT/<executor>/<tensor>.npy, image axis in front. Each image, or piece of a sequence, is written
// when it is computed.
class TensorFiles final : public TensorSink {
 public:
  TensorFiles(fs::path root, std::int64_t images) : root_(std::move(root)), images_(images) {}

  void Take(std::string_view executor, const std::string& name, const TensorPlace& place,
            const IntTensor& tensor) override {
    Write(executor, name, place, tensor);
  }
  void Take(std::string_view executor, const std::string& name, const TensorPlace& place,
            const FloatTensor& tensor) override {
    Write(executor, name, place, tensor);
  }

 private:
  template <typename Tensor>
  void Write(std::string_view executor, const std::string& name, const TensorPlace& place,
             const Tensor& tensor) {
    const fs::path path = root_ / executor / (name + ".npy");
    const std::lock_guard lock(mutex_);
    auto file = files_.find(path);
    if (file == files_.end()) {
      fs::create_directories(path.parent_path());
      file = files_.emplace(path, NpyStack(path, images_, tensor, place.whole)).first;
    }
    file->second.Write(place.image, tensor, place.element);
  }

  fs::path root_;
  std::int64_t images_;
  std::mutex mutex_;
  std::map<fs::path, NpyStack> files_;
};

// From the golden .npy files, one tensor at a time.
void WriteMemhFiles(const Program& program, const fs::path& root) {
  fs::create_directories(root / "memh");
  for (const TensorInfo& info : program.tensors) {
    if (IsPast(program, info.name)) continue;
    WriteMemh(root / "memh" / (info.name + ".memh"), info.name,
              ReadIntNpy(root / "golden" / (info.name + ".npy")), MemhBits(info));
  }
}

// Replaces a bundle's block inputs by the files of a directory, one .npy for each input tensor.
void ReplaceInputs(Bundle& bundle, const fs::path& directory) {
  std::int64_t images = -1;
  bundle.lengths.clear();
  for (const std::string& name : bundle.program.inputs) {
    const fs::path path = directory / (name + ".npy");
    IntTensor tensor = ReadProgramInput(path, bundle.program.Tensor(name));
    if (images >= 0 && tensor.shape().front() != images) {
      throw InputError(fmt::format("{}: has {} images, the other inputs have {}", path.string(),
                                   tensor.shape().front(), images));
    }
    images = tensor.shape().front();
    bundle.inputs[name] = std::move(tensor);
  }
}

// What a run works on: a calibrated model with its evaluation inputs, or a bundle.
struct Subject {
  std::optional<LoadedModel> loaded;
  ModelInputs inputs;
  Bundle bundle;
  std::int64_t images = 0;
};

// "3,1,64": the lengths of pieces.
std::vector<std::int64_t> ParseChunk(const std::string& text) {
  std::vector<std::int64_t> lengths;
  std::string_view rest = text;
  while (!text.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    const auto tokens = ParseNumber<std::int64_t>(item);
    if (!tokens || *tokens < 1) {
      throw InputError(
          fmt::format("--chunk: '{}' is no number of tokens; give one, or several such as 16,1,64",
                      Printable(item)));
    }
    lengths.push_back(*tokens);
    if (item.size() == rest.size()) break;
    rest.remove_prefix(item.size() + 1);
  }
  return lengths;
}

// An array that was not built is better reported before the work than after it.
void CheckRtl(const RunOptions& options, cosim::ArrayShape array) {
  if (options.rtl == "off") return;
  cosim::RtlOptions rtl;
  rtl.array = array;
  const cosim::RtlBackend probe(rtl);
}

Subject Load(const RunOptions& options) {
  Subject subject;
  if (!options.bundle.empty()) {
    subject.bundle = LoadBundleOfScope(options.bundle, options.model.scope);
    CheckRtl(options, {subject.bundle.hardware.array_rows, subject.bundle.hardware.array_cols});
    if (!options.inputs.empty()) ReplaceInputs(subject.bundle, options.inputs);
    const std::int64_t available = subject.bundle.images();
    if (options.images > available) {
      throw InputError(fmt::format("--images {}: {} carries {} images", options.images,
                                   options.bundle.string(), available));
    }
    subject.images = options.images < 0 ? available : options.images;
    return subject;
  }
  subject.loaded = LoadModel(options.model);
  subject.inputs = LoadEvaluation(subject.loaded->manifest, options.images);
  if (options.tokens > 0) {
    if (!std::holds_alternative<TokenInputs>(subject.inputs.data))
      throw InputError("--tokens: this model does not read token ids");
    KeepFirst(subject.inputs, options.tokens);
  }
  subject.images = subject.inputs.count();
  const Hardware hardware = subject.loaded->config.HardwareFor(-1);
  CheckRtl(options, {hardware.array_rows, hardware.array_cols});
  // Only for a person: in a log, a calibration that fails leaves its one line of error.
  if (::isatty(STDERR_FILENO) != 0) {
    std::cerr << fmt::format("calibrating {}\n", subject.loaded->manifest.model.string());
  }
  subject.bundle = CalibrateLoaded(*subject.loaded);
  return subject;
}

void CheckOptions(const RunOptions& options) {
  const bool from_model = !options.model.config.empty() || !options.model.input.empty();
  if (!options.bundle.empty() && from_model) {
    throw InputError("--bundle replaces --config and --input: give one or the other");
  }
  if (options.bundle.empty() && options.model.config.empty()) {
    throw InputError("nothing to run: give --config FILE --input DIR, or --bundle DIR");
  }
  if (options.bundle.empty() && options.model.input.empty()) {
    throw InputError("--input DIR is missing: the vectors directory with manifest.yaml");
  }
  if (!options.bundle.empty() && (!options.model.set.empty() || options.model.blocks != "all" ||
                                  !options.model.inject.empty())) {
    throw InputError(
        "--set, --blocks and --inject change a calibration; a bundle is already calibrated");
  }
  if (options.bundle.empty() && !options.inputs.empty()) {
    throw InputError("--inputs goes with --bundle; a model's own inputs are named by --input");
  }
  if (options.memh && options.output.empty()) throw InputError("--memh needs --output DIR");
  if (options.memh && options.taps == "none")
    throw InputError("--memh writes the taps that --taps none leaves out");
  if (options.tokens > 0 && !options.bundle.empty())
    throw InputError("--tokens goes with --input; a bundle's inputs run as they are");
}

}  // namespace

Command AddRun(CommandLine& line, RunOptions& options) {
  const Command command = line.Add("run", "Compare every tensor in float, integers and RTL");
  AddModelOptions(command, options.model);
  command.Add("--bundle", options.bundle, "Run a calibrated bundle instead of --config and --input")
      .Type("DIR");
  command.Add("--inputs", options.inputs, "With --bundle: other block inputs, one .npy each")
      .Type("DIR");
  command
      .Add("--images", options.images,
           "Images, or sequences of tokens, to run (default 8; with --bundle all of its own)")
      .Positive()
      .Type("N");
  AddTokensOption(command, options.tokens);
  command
      .Add("--chunk", options.chunk,
           "Tokens of a sequence that run at once, where a program carries state; several: the "
           "lengths of the pieces, the last one again and again (default 256); results do not "
           "depend on it")
      .Type("N[,N...]");
  command.Add("--batch", options.batch, "Images in memory at once; results do not depend on it")
      .Positive()
      .Type("N")
      .ShowDefault();
  command.Add("--rtl", options.rtl, "Run the Verilated RTL beside the golden model")
      .OneOf({"on", "off"})
      .Type("on|off")
      .ShowDefault();
  command
      .Add("--rtl-assertions", options.rtl_assertions,
           "Tiles of a product that also run on the array with assertions: the first two, or, much "
           "slower, every one")
      .OneOf({"first", "every"})
      .Type("first|every")
      .ShowDefault();
  AddKernelsOption(command, options.kernels);
  command
      .Add("--stall-probability", options.stall_probability,
           "Random bubbles and back-pressure on every RTL stream; changes no result")
      .BetweenReals(0.0, 0.95)
      .Type("P")
      .ShowDefault();
  command.Add("--stall-seed", options.stall_seed, "Seed of the random stalls")
      .Type("SEED")
      .ShowDefault();
  command.Add("--output", options.output, "Directory for tensors, report.json and report.html")
      .Type("DIR");
  command.Add("--taps", options.taps, "Tensors to write with --output")
      .OneOf({"all", "none"})
      .Type("all|none")
      .ShowDefault();
  command.Flag("--memh", options.memh, "Also write $readmemh files to the output directory");
  command.Flag("--profile", options.profile,
               "Statistics of every tap and weight, time and memory of every operation");
  command.Flag("--json", options.json, "Print the report as JSON");
  command.Flag("--verbose", options.verbose, "List every note of the calibration");
  return command;
}

int RunRun(const RunOptions& options) {
  CheckOptions(options);
  std::optional<OutputDirectory> output;
  RequireApart(options.output, {options.bundle, options.inputs, options.model.input});
  if (!options.output.empty()) output.emplace(options.output);
  Subject subject = Load(options);

  RunSettings settings;
  settings.images = subject.images;
  settings.batch = options.batch;
  settings.threads = ThreadCount(options.model.threads);
  settings.kernels = KernelsOf(options.kernels);
  const Config* config = subject.loaded ? &subject.loaded->config : nullptr;
  ProfileRequest profile = RequestProfile(config, options.profile);
  // report.html shows the statistics of every tensor, asked for or not.
  if (output || AnyRequested(profile, subject.bundle.program)) settings.profile = profile;
  std::optional<TensorFiles> files;
  if (output && options.taps == "all")
    settings.sink = &files.emplace(output->path(), subject.images);
  settings.chunk = ParseChunk(options.chunk);
  if (options.rtl == "on") {
    settings.rtl = RtlSettings{options.stall_probability, options.stall_seed,
                               options.rtl_assertions == "every",
                               output ? output->path() / "waves" : fs::path(kDefaultWaves),
                               output ? output->final_path() / "waves" : fs::path(kDefaultWaves)};
  }
  const HardwareParams& hardware = subject.bundle.hardware;
  settings.started = [&] {
    std::cerr << fmt::format(
        "running {}: {}golden{}\n",
        CountInputs(settings.images, subject.bundle.program.MaxLength() > 0),
        subject.loaded ? "float, " : "",
        settings.rtl ? fmt::format(", RTL {}x{}", hardware.array_rows, hardware.array_cols) : "");
  };
  std::optional<FloatSource> floats;
  if (subject.loaded) floats.emplace(FloatSource{subject.loaded->model, subject.inputs});
  RunReport report = RunImages(subject.bundle, floats ? &*floats : nullptr, settings);
  for (const fs::path& file : options.model.config) report.config_files.push_back(file.string());
  report.scope = subject.loaded ? std::string(Name(subject.loaded->calibrate.scope)) : "bundle";
  report.size = SizeOf(subject.bundle);
  report.input = subject.loaded ? options.model.input.string() : options.bundle.string();

  if (output) {
    WriteFileAtomically(output->path() / kContractFile, ContractsYaml(subject.bundle.contracts));
    if (options.memh) WriteMemhFiles(subject.bundle.program, output->path());
    WriteReportFiles(report, subject.bundle, output->path());
    output->Commit();
  }
  if (options.json) {
    std::cout << RunReportJsonText(report);
  } else {
    std::cout << FormatRunReport(report, {options.verbose, ColorWanted(STDOUT_FILENO)});
  }
  return report.total_mismatches() == 0 ? 0 : 1;
}

}  // namespace qsim::cli
