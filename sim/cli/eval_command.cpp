#include "sim/cli/eval_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "golden/kernels/choice.h"
#include "golden/program/executor.h"
#include "sim/cli/eval_loop.h"
#include "sim/cli/eval_tokens.h"
#include "sim/cli/model_identity.h"
#include "sim/error.h"
#include "sim/inputs/image_folder.h"
#include "sim/inputs/input_reader.h"
#include "sim/inputs/inputs_hash.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/resume_log.h"
#include "sim/report/eval_report.h"
#include "sim/run/float_taps.h"
#include "sim/semantics/mixed.h"
#include "sim/semantics/model_check.h"

namespace qsim::cli {
namespace {

// Evaluation images, one at a time: memory does not grow with their number.
class EvaluationImages {
 public:
  EvaluationImages(const EvalOptions& options, const LoadedModel& loaded)
      : classes_(loaded.model.classes()) {
    const InputSpec& spec = loaded.manifest.Evaluation();
    if (options.data.empty()) {
      reader_.emplace(loaded.manifest, spec, InputUse::kEvaluation);
      count_ = reader_->count();
    } else {
      const network::Node& image = loaded.model.nodes().front();
      if (!std::holds_alternative<network::Pixels>(image.function))
        throw InputError("--data: this model takes token embeddings, not images");
      mean_ = spec.mean;
      stddev_ = spec.stddev;
      ResizeSpec resize;
      resize.size = image.shape[1];
      if (options.crop_pct != 0) {
        resize.crop_pct = options.crop_pct;
      } else {
        TakeStated(loaded.manifest, resize);
      }
      resize_ = fmt::format("{} {} {} {} {} {}", resize.size, resize.crop_pct, resize.edge,
                            static_cast<int>(resize.filter), fmt::join(mean_, ","),
                            fmt::join(stddev_, ","));
      folder_ = std::make_unique<ImageFolder>(options.data, image.shape[0], resize);
      if (folder_->class_count() > classes_) {
        throw InputError(fmt::format("{}: {} class folders, but the model has {} classes",
                                     options.data.string(), folder_->class_count(), classes_));
      }
      count_ = folder_->size();
    }
  }

  std::int64_t count() const { return count_; }
  // The contents of all images, in order, for a state file. Of files their bytes, and what makes
  // pixels of them; one that cannot be read counts as that.
  Identity InputsIdentity() const {
    Sha256 images, labels;
    images.Update(resize_);
    for (std::int64_t i = 0; i < count_; ++i) {
      labels.Update(fmt::format("{}\n", Label(i).value_or(-1)));
      if (folder_) {
        images.Update(HashOfReadable(folder_->Path(i)));
      } else {
        AddTo(images, reader_->Read(i, 1));
      }
    }
    return {{"images", images.Finish()}, {"labels", labels.Finish()}};
  }
  std::optional<std::int64_t> Label(std::int64_t i) const {
    if (folder_) return folder_->Label(i);
    if (reader_->labels().empty()) return std::nullopt;
    return reader_->labels()[static_cast<std::size_t>(i)];
  }
  std::string Name(std::int64_t i) const {
    return folder_ ? folder_->Path(i).string() : fmt::format("image {}", i);
  }
  // This image alone.
  ModelInputs Load(std::int64_t i) const {
    if (!folder_) return reader_->Read(i, 1);
    LoadedImage image = folder_->Load(i);
    Shape shape = image.pixels.shape();
    shape.insert(shape.begin(), 1);
    ModelInputs one;
    one.data =
        ImageInputs{IntTensor(std::move(shape), std::move(image.pixels.storage())), mean_, stddev_};
    return one;
  }

 private:
  static std::string HashOfReadable(const std::filesystem::path& file) {
    try {
      return Sha256HexOfFile(file);
    } catch (const InputError&) {
      return "unreadable";
    }
  }
  // What the files beside the weights say of the resize, for the size that the model has here.
  static void TakeStated(const Manifest& manifest, ResizeSpec& resize) {
    if (manifest.resize.filter) resize.filter = *manifest.resize.filter;
    if (manifest.resize.edge == 0) return;
    // timm's floor of size / crop_pct; a quotient of two whole sizes comes back as it was.
    resize.edge = static_cast<std::int64_t>(
        std::floor(manifest.resize.edge * static_cast<double>(resize.size) + 1e-6));
    std::cerr << NoteLine(
        fmt::format("the shorter side of images is resized to {}, and {} x {} are "
                    "cropped ({}), as {} says",
                    resize.edge, resize.size, resize.size,
                    resize.filter == ResizeFilter::kBicubic ? "bicubic" : "bilinear",
                    manifest.Origin("resize")));
  }

  std::int64_t classes_ = 0;
  std::int64_t count_ = 0;
  std::optional<InputReader> reader_;
  std::string resize_;  // of a folder
  std::unique_ptr<ImageFolder> folder_;
  std::vector<double> mean_, stddev_;
};

// What a network's end says of one image, by one executor.
struct Ending {
  std::vector<double> last;    // the last tensor
  std::vector<double> tokens;  // the last with a row for each token
};

// Which executors are asked.
struct Executors {
  bool floats, ideal, integer;
  explicit Executors(std::string_view only)
      : floats(only.empty() || only == "float"),
        ideal(only.empty() || only == "ideal"),
        integer(only.empty() || only == "integer") {}
  bool all() const { return floats && ideal && integer; }
};

class Judge {
 public:
  Judge(const Bundle& bundle, const network::Network& model, const EvaluationImages& images,
        const EvalOptions& options)
      : bundle_(bundle),
        model_(model),
        images_(images),
        executors_(options.only),
        golden_(KernelsOf(options.kernels), bundle.program),
        last_(model.End()),
        tokens_(*model.TokenFeatures()),
        kept_({last_.name, tokens_.name}) {}

  ImageVerdict Verdict(std::int64_t i) {
    ImageVerdict verdict;
    verdict.index = i;
    verdict.name = images_.Name(i);
    verdict.label = images_.Label(i);
    const ModelInputs inputs = images_.Load(i);
    const FloatSource source = {model_, inputs};
    std::set<std::string> wanted(bundle_.program.inputs.begin(), bundle_.program.inputs.end());
    wanted.insert(kept_.begin(), kept_.end());
    FloatTaps floats(source, 0, wanted);
    TensorMap program_inputs;
    for (const std::string& name : bundle_.program.inputs)
      program_inputs.emplace(name, ProgramInput(bundle_, source, 0, name, floats));
    std::vector<float> tokens, last;
    if (executors_.floats) {
      tokens = floats.Find(&tokens_)->data;
      last = floats.Find(&last_)->data;
    }
    Ending ideal, integer;
    if (executors_.ideal) {
      const MixedExecutor& mixed = Executor(inputs);
      const MixedState state =
          mixed.RunForOutputs(mixed.ExactInputs(inputs, 0), mixed.AllOf(Exactness::Ideal()), kept_);
      ideal = {state.at(last_.name)->Doubles(), state.at(tokens_.name)->Doubles()};
    }
    if (executors_.integer) {
      const TensorMap integers =
          ExecuteForOutputs(bundle_.program, program_inputs, i, *golden_, kept_);
      const auto real = [&](const std::string& name) {
        return bundle_.GridOf(name).Dequantize(integers.at(name));
      };
      integer = {real(last_.name), real(tokens_.name)};
    }
    if (model_.classes() > 0) {
      verdict.reference = TopFive({last.begin(), last.end()});
      verdict.ideal = TopFive(ideal.last);
      verdict.integer = TopFive(integer.last);
    }
    if (!executors_.all()) return verdict;
    if (i < kNeighbours) verdict.row = FirstRow(last);
    verdict.ideal_features = Features(i, ideal, last, tokens);
    verdict.integer_features = Features(i, integer, last, tokens);
    return verdict;
  }

 private:
  const MixedExecutor& Executor(const ModelInputs& inputs) {
    const std::lock_guard lock(mutex_);
    if (!mixed_) {
      first_ = inputs;
      mixed_.emplace(bundle_, model_, first_);
    }
    return *mixed_;
  }

  std::vector<float> FirstRow(const auto& values) const {
    return {values.begin(), values.begin() + last_.shape.back()};
  }

  ImageFeatures Features(std::int64_t image, const Ending& ending, const std::vector<float>& last,
                         const std::vector<float>& tokens) const {
    const auto width = static_cast<std::size_t>(last_.shape.back());
    ImageFeatures features;
    features.first =
        DistanceOf(std::span(last).first(width), std::span(ending.last).first(width), 1);
    const auto rows = static_cast<std::int64_t>(tokens.size()) / tokens_.shape.back();
    features.tokens = DistanceOf(tokens, ending.tokens, rows);
    if (image < kNeighbours) features.row = FirstRow(ending.last);
    return features;
  }

  const Bundle& bundle_;
  const network::Network& model_;
  const EvaluationImages& images_;
  Executors executors_;
  ChosenBackend golden_;
  const network::Node& last_;
  const network::Node& tokens_;
  std::set<std::string> kept_;
  // The one mixed executor, made with the first inputs that could be read: all of them are alike.
  std::mutex mutex_;
  ModelInputs first_;
  std::optional<MixedExecutor> mixed_;
};

// What the first row of the network's end stands for.
std::string FirstRowOf(const network::Network& model) {
  const bool mean = std::any_of(model.nodes().begin(), model.nodes().end(), [](const auto& node) {
    return std::holds_alternative<network::MeanRows>(node.function);
  });
  return mean ? "mean of patches" : "class token";
}

}  // namespace

Command AddEval(CommandLine& line, EvalOptions& options) {
  const Command command = line.Add("eval", "Accuracy, or bits per token, against float");
  AddModelOptions(command, options.model);
  command.Remove("--scope");
  command.Remove("--until");
  command.Remove("--blocks");
  command.Get("--input").Required();
  const Argument bundle =
      command
          .Add("--bundle", options.bundle,
               "Evaluate this bundle, calibrated before, in the place of --config")
          .Type("DIR");
  command.Get("--config").Excludes(bundle);
  for (const char* name : {"--set", "--realise", "--min-length", "--inject"})
    command.Get(name).Excludes(bundle);
  command.Check([&options] {
    if (options.bundle.empty() && options.model.config.empty())
      throw UsageError("eval needs --config FILE or --bundle DIR");
    if (!options.only.empty() && !options.state.empty())
      throw UsageError("--only and --state do not go together: a state holds all three");
  });
  command
      .Add("--only", options.only,
           "One executor alone: 'integer' computes nothing in float, and nothing is compared")
      .OneOf({"float", "ideal", "integer"})
      .Type("EXECUTOR");
  AddKernelsOption(command, options.kernels);
  command
      .Add("--data", options.data,
           "Class folders of PNG and JPEG files instead of the manifest's evaluation inputs")
      .Type("DIR");
  command
      .Add("--crop-pct", options.crop_pct,
           "With --data: share of the resized image that the centre crop keeps (default: as the "
           "files beside the weights say, else 0.9)")
      .BetweenReals(0.1, 1.0)
      .Type("P");
  command.Add("--images", options.images, "Images, or files of tokens, to evaluate (default: all)")
      .Positive()
      .Type("N");
  command
      .Add("--tokens", options.tokens,
           "Of each file of tokens, predict the N that follow the first (default: all)")
      .Positive()
      .Type("N");
  command.Add("--batch", options.batch, "Images in memory at once; results do not depend on it")
      .Positive()
      .Type("N")
      .ShowDefault();
  command.Add("--state", options.state, "Record finished images here, and resume from it")
      .Type("FILE");
  command.Flag("--json", options.json, "Print the result as JSON");
  command.Flag("--verbose", options.verbose,
               "List every image whose class changed, or the bits of every sequence");
  return command;
}

int RunEval(const EvalOptions& options) {
  ModelOptions model_options = options.model;
  model_options.scope = "model";
  const LoadedModel loaded = LoadModel(model_options);
  if (ReadsTokens(loaded.model)) {
    if (!options.data.empty()) throw InputError("--data: this model reads tokens, not images");
    return RunTokenEval(options, loaded);
  }
  if (options.tokens > 0) throw InputError("--tokens: this model does not read token ids");
  const EvaluationImages images(options, loaded);
  if (options.images > images.count()) {
    throw InputError(
        fmt::format("--images {}: there are {} evaluation images", options.images, images.count()));
  }
  const std::int64_t count = options.images < 0 ? images.count() : options.images;
  const Bundle bundle =
      options.bundle.empty() ? CalibrateLoaded(loaded) : LoadBundleOfScope(options.bundle, "model");
  if (!options.bundle.empty()) CheckStandsFor(bundle, loaded.model, images.Load(0));
  Identity identity;
  if (!options.state.empty()) {
    identity = ModelIdentity(options.model, loaded);
    identity.emplace_back("program", HashOf(bundle));
    for (auto& part : images.InputsIdentity()) identity.push_back(std::move(part));
  }
  ResumeLog state(options.state, "eval 5", identity);
  Judge judge(bundle, loaded.model, images, options);
  const auto parse = [&](std::int64_t index, const std::string& line) {
    auto verdict = ParseVerdict(index, line);
    if (index >= images.count()) verdict.reset();
    if (verdict) verdict->name = images.Name(index);
    return verdict;
  };
  const auto [verdicts, status] =
      JudgeAll({"images", count, options.batch, loaded.calibrate.threads}, state, parse,
               [&](std::int64_t i) { return judge.Verdict(i); });
  if (!options.only.empty()) {
    std::cout << FormatOnly(verdicts, options.only, options.json);
    return status;
  }
  const EvalSummary summary = Summarise(verdicts, loaded.model.End().name, FirstRowOf(loaded.model),
                                        loaded.model.TokenFeatures()->name);
  std::cout << (options.json ? EvalJsonText(summary) : FormatEval(summary, options.verbose));
  return status;
}

}  // namespace qsim::cli
