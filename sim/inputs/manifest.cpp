#include "sim/inputs/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <tuple>
#include <utility>

#include "sim/error.h"
#include "sim/inputs/model_files.h"
#include "sim/io/yaml/yaml_document.h"
#include "sim/io/yaml/yaml_values.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace qsim::inputs {
namespace {

constexpr const char* kConfig = "config.json";
constexpr std::int64_t kLargestDimension = 1 << 20;

struct GeometryKey {
  const char* name;
  std::optional<std::int64_t> Geometry::*member;
};
constexpr GeometryKey kGeometryKeys[] = {
    {"image", &Geometry::image},     {"channels", &Geometry::channels},
    {"patch", &Geometry::patch},     {"dim", &Geometry::dim},
    {"heads", &Geometry::heads},     {"tokens", &Geometry::tokens},
    {"depth", &Geometry::depth},     {"mlp_hidden", &Geometry::mlp_hidden},
    {"classes", &Geometry::classes},
};

std::vector<std::string> GeometryWords() {
  std::vector<std::string> words;
  for (const GeometryKey& key : kGeometryKeys) words.emplace_back(key.name);
  words.emplace_back("eps");
  words.emplace_back("activation");
  return words;
}

std::string DirectoryName(const std::filesystem::path& directory) {
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::weakly_canonical(directory, ignored);
  if (!path.has_filename()) path = path.parent_path();
  return path.has_filename() ? path.filename().string() : "model";
}

class ManifestReader {
 public:
  explicit ManifestReader(const std::filesystem::path& directory) : directory_(directory) {
    manifest_.path = directory / "manifest.yaml";
  }

  Manifest Read() {
    if (Exists(kConfig) && !Exists("manifest.yaml")) {
      TakeUsualNames();
    } else {
      ReadFile();
    }
    TakeFilesBeside();
    for (auto* section : {&manifest_.calibration, &manifest_.evaluation}) {
      if (*section && (*section)->images) Normalise(**section);
    }
    CheckGeometry();
    if (manifest_.name.empty()) manifest_.name = DirectoryName(directory_);
    return std::move(manifest_);
  }

 private:
  bool Exists(const char* file) const {
    std::error_code ignored;
    return std::filesystem::exists(directory_ / file, ignored);
  }

  void ReadFile() {
    const YamlPtr root = LoadYaml(manifest_.path);
    if (root->kind != YamlNode::Kind::kMap) {
      Fail(root->line, "expected a map with model, geometry, calibration and evaluation");
    }
    for (const YamlEntry& entry : root->entries) ReadTop(entry);
    if (manifest_.model.empty()) {
      throw InputError(
          fmt::format("{}: key 'model' is missing: the safetensors file of the weights",
                      manifest_.path.string()));
    }
  }

  // Of a directory without a manifest: those of the shipped vectors.
  void TakeUsualNames() {
    manifest_.model = directory_ / "model.safetensors";
    manifest_.config = directory_ / kConfig;
    if (!Exists("model.safetensors")) {
      throw InputError(
          fmt::format("{}: no such file; without a manifest.yaml the weights beside "
                      "{} must have this name",
                      manifest_.model.string(), kConfig));
    }
    const auto inputs = [&](const char* name, const char* tokens, const char* images) {
      InputSpec spec;
      spec.name = name;
      spec.origin = (directory_ / kConfig).string();
      if (Exists(tokens)) {
        TakeTokens(directory_ / tokens, spec);
      } else {
        spec.images = directory_ / images;
      }
      return spec;
    };
    // Sequences alone to evaluate: nothing can be calibrated, and a bundle needs nothing more.
    if (Exists("calib") || Exists("calib_images.npy") || !Exists("eval"))
      manifest_.calibration = inputs("calibration", "calib", "calib_images.npy");
    if (!Exists("eval") && !Exists("eval_images.npy")) return;
    manifest_.evaluation = inputs("evaluation", "eval", "eval_images.npy");
    if (Exists("eval_labels.npy")) manifest_.evaluation->labels = directory_ / "eval_labels.npy";
  }

  // A file, or a directory: the .npy files in it, by name.
  void TakeTokens(const std::filesystem::path& path, InputSpec& spec) const {
    std::error_code ignored;
    spec.token_list = std::filesystem::is_directory(path, ignored);
    if (!spec.token_list) {
      spec.tokens.push_back(path);
      return;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
      if (entry.path().extension() == ".npy") spec.tokens.push_back(entry.path());
    }
    std::sort(spec.tokens.begin(), spec.tokens.end());
    if (spec.tokens.empty()) {
      throw InputError(
          fmt::format("{}: {}: zero samples: the directory has no .npy files, or cannot be read",
                      spec.origin, path.string()));
    }
  }

  // Whatever the manifest leaves out. An image may have another size than the model was trained
  // for; of everything else there is only one truth.
  void TakeFilesBeside() {
    const std::filesystem::path beside = manifest_.model.parent_path();
    std::error_code ignored;
    if (manifest_.config.empty() && std::filesystem::exists(beside / kConfig, ignored))
      manifest_.config = beside / kConfig;
    ModelFiles files = ModelFiles::Read(manifest_.config, beside);
    const auto take = [&](const std::string& key, const auto& stated, auto& into) {
      if (!stated) return;
      if (!into) {
        into = stated;
        manifest_.origin[key] = files.origin.at(key);
      } else if (*into != *stated && key != "image") {
        throw InputError(fmt::format("{}: {} is {}, but {} says {}", manifest_.path.string(), key,
                                     *into, files.origin.at(key).string(), *stated));
      }
    };
    for (const GeometryKey& key : kGeometryKeys)
      take(key.name, files.geometry.*key.member, manifest_.geometry.*key.member);
    take("eps", files.geometry.eps, manifest_.geometry.eps);
    take("activation", files.geometry.activation, manifest_.geometry.activation);
    take("pool", files.geometry.pool, manifest_.geometry.pool);
    manifest_.resize = files.resize;
    if (files.origin.contains("resize")) manifest_.origin["resize"] = files.origin.at("resize");
    if (manifest_.name.empty()) manifest_.name = files.name;
    for (const auto& [key, from, to] :
         {std::tuple("mean", &files.mean, &mean_), std::tuple("std", &files.stddev, &stddev_)}) {
      if (!to->empty() || from->empty()) continue;
      *to = *from;
      CheckNormalisation(key, *to, files.origin.at(key).string());
    }
  }

  [[noreturn]] void Fail(int line, const std::string& what) const {
    throw InputError(fmt::format("{}:{}: {}", manifest_.path.string(), line, what));
  }
  [[noreturn]] void FailKey(const YamlEntry& entry, const std::string& what) const {
    Fail(entry.line, fmt::format("key '{}': {}", Printable(entry.key), what));
  }
  [[noreturn]] void FailUnknown(const YamlEntry& entry,
                                const std::vector<std::string>& words) const {
    FailKey(entry, "unknown key; " + SuggestWord(entry.key, words));
  }
  void RequireMap(const YamlEntry& entry) const {
    if (entry.value->kind != YamlNode::Kind::kMap) {
      FailKey(entry, fmt::format("expected a map, got {}", entry.value->Describe()));
    }
  }

  void ReadTop(const YamlEntry& entry) {
    if (entry.key == "model") {
      manifest_.model = Path(entry, *entry.value);
    } else if (entry.key == "config") {
      manifest_.config = Path(entry, *entry.value);
    } else if (entry.key == "name") {
      manifest_.name = ModelName(entry);
    } else if (entry.key == "ignore_tensors") {
      manifest_.ignore_tensors = Patterns(entry);
    } else if (entry.key == "geometry") {
      RequireMap(entry);
      for (const YamlEntry& inner : entry.value->entries) {
        if (!ReadGeometry(inner)) FailUnknown(inner, GeometryWords());
      }
    } else if (entry.key == "mean") {
      mean_ = Normalisation(entry);
    } else if (entry.key == "std") {
      stddev_ = Normalisation(entry);
    } else if (entry.key == "calibration") {
      manifest_.calibration = ReadInput(entry);
    } else if (entry.key == "evaluation") {
      manifest_.evaluation = ReadInput(entry);
    } else if (!ReadGeometry(entry)) {
      std::vector<std::string> words = {"model",     "config", "name", "ignore_tensors",
                                        "geometry",  "mean",   "std",  "calibration",
                                        "evaluation"};
      for (std::string& word : GeometryWords()) words.push_back(std::move(word));
      FailUnknown(entry, words);
    }
  }

  // False when the key is none of the geometry's.
  bool ReadGeometry(const YamlEntry& entry) {
    if (entry.key == "eps") {
      if (manifest_.geometry.eps) FailKey(entry, "is given twice");
      const auto eps = AsReal(*entry.value);
      if (!eps || *eps <= 0 || *eps >= 1) {
        FailKey(entry, fmt::format("expected a number in (0, 1), got {}", entry.value->Describe()));
      }
      manifest_.geometry.eps = *eps;
      return true;
    }
    for (const auto& [key, member] :
         {std::pair("activation", &Geometry::activation), std::pair("pool", &Geometry::pool)}) {
      if (entry.key != key) continue;
      if (manifest_.geometry.*member) FailKey(entry, "is given twice");
      manifest_.geometry.*member = AsText(*entry.value);
      if (!(manifest_.geometry.*member))
        FailKey(entry, fmt::format("expected a name, got {}", entry.value->Describe()));
      return true;
    }
    for (const GeometryKey& key : kGeometryKeys) {
      if (entry.key != key.name) continue;
      auto& member = manifest_.geometry.*key.member;
      if (member) FailKey(entry, "is given twice");
      const auto value = AsInteger(*entry.value);
      const std::int64_t most = key.member == &Geometry::depth ? kMostLayers : kLargestDimension;
      if (!value || *value < 1 || *value > most) {
        FailKey(entry,
                fmt::format("expected an integer in 1..{}, got {}", most, entry.value->Describe()));
      }
      member = *value;
      return true;
    }
    return false;
  }

  InputSpec ReadInput(const YamlEntry& section) {
    RequireMap(section);
    InputSpec spec;
    spec.name = section.key;
    spec.origin = fmt::format("{}:{}", manifest_.path.string(), section.line);
    for (const YamlEntry& entry : section.value->entries) {
      if (entry.key == "images") {
        spec.images = Path(entry, *entry.value);
      } else if (entry.key == "tokens") {
        spec.token_list = entry.value->kind == YamlNode::Kind::kSequence;
        if (spec.token_list && entry.value->items.empty()) FailKey(entry, "zero samples");
        if (!spec.token_list) TakeTokens(Path(entry, *entry.value), spec);
        for (const YamlPtr& item : entry.value->items) spec.tokens.push_back(Path(entry, *item));
      } else if (entry.key == "mean") {
        spec.mean = Normalisation(entry);
      } else if (entry.key == "std") {
        spec.stddev = Normalisation(entry);
      } else if (entry.key == "labels") {
        spec.labels = Path(entry, *entry.value);
      } else {
        FailUnknown(entry, {"images", "tokens", "mean", "std", "labels"});
      }
    }
    if (spec.images.has_value() == !spec.tokens.empty()) {
      FailKey(section, "expected either 'images' or 'tokens'");
    }
    if (!spec.images && (!spec.mean.empty() || !spec.stddev.empty())) {
      FailKey(section, "'mean' and 'std' belong to images; tokens enter as they are");
    }
    return spec;
  }

  std::filesystem::path Path(const YamlEntry& entry, const YamlNode& node) const {
    const auto text = AsText(node);
    if (!text || text->empty() || text->find('\0') != std::string::npos) {
      FailKey(entry, fmt::format("expected a file name, got {}", node.Describe()));
    }
    return directory_ / *text;
  }

  // It becomes a part of file names.
  std::string ModelName(const YamlEntry& entry) const {
    const auto text = AsText(*entry.value);
    constexpr std::string_view kLegal =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (!text || text->empty() || text->front() == '.' ||
        text->find_first_not_of(kLegal) != std::string::npos) {
      FailKey(entry, fmt::format("expected a name of letters, digits, '.', '_' and '-', got {}",
                                 entry.value->Describe()));
    }
    return *text;
  }

  std::vector<IgnoredTensors> Patterns(const YamlEntry& entry) const {
    if (entry.value->kind != YamlNode::Kind::kSequence || entry.value->items.empty()) {
      FailKey(entry, fmt::format("expected a list of tensor names, * and ? allowed, got {}",
                                 entry.value->Describe()));
    }
    std::vector<IgnoredTensors> patterns;
    for (const YamlPtr& item : entry.value->items) {
      const auto text = AsText(*item);
      if (!text || text->empty()) {
        FailKey(entry, fmt::format("expected a tensor name, got {}", item->Describe()));
      }
      patterns.push_back({*text, item->line});
    }
    return patterns;
  }

  // One number, or a list with one per channel.
  std::vector<double> Numbers(const YamlEntry& entry) const {
    std::vector<YamlPtr> items = entry.value->items;
    if (entry.value->kind != YamlNode::Kind::kSequence) items.push_back(entry.value);
    std::vector<double> numbers;
    for (const YamlPtr& item : items) {
      const auto number = AsReal(*item);
      if (!number) {
        FailKey(entry, fmt::format("expected a finite number per image channel, got {} at [{}]",
                                   item->Describe(), numbers.size()));
      }
      numbers.push_back(*number);
    }
    if (numbers.empty())
      FailKey(entry, "expected a finite number per image channel, got an empty list");
    return numbers;
  }
  std::vector<double> Normalisation(const YamlEntry& entry) {
    std::vector<double> numbers = Numbers(entry);
    CheckNormalisation(entry.key, numbers,
                       fmt::format("{}:{}", manifest_.path.string(), entry.line));
    return numbers;
  }

  // Both are on the 0..1 scale of a pixel p / 255, where a mean lies inside it, and the deviation
  // of anything at most at 0.5; 1 is what models have that do not normalise.
  void CheckNormalisation(const std::string& key, const std::vector<double>& values,
                          const std::string& where) {
    for (const double value : values) {
      if (key == "std" && value <= 0)
        throw InputError(fmt::format("{}: key 'std': must be above 0, got {}", where, value));
      if (key == "mean" && (value < 0 || value > 1)) {
        throw InputError(
            fmt::format("{}: key 'mean': {} is outside 0..1: mean and std are those of p / 255{}",
                        where, value, value > 1 ? "; divide those of pixels 0..255 by 255" : ""));
      }
      if (key == "std" && value > 1) {
        manifest_.notes.push_back(fmt::format(
            "{}: a std of {} is above 1: mean and std are those of p / 255; divide those of pixels "
            "0..255 by 255",
            where, value));
        return;
      }
    }
  }

  // Fills in the top level's mean and std, and checks that both are there.
  void Normalise(InputSpec& spec) const {
    if (spec.mean.empty()) spec.mean = mean_;
    if (spec.stddev.empty()) spec.stddev = stddev_;
    for (const auto& [key, values] :
         {std::pair("mean", &spec.mean), std::pair("std", &spec.stddev)}) {
      if (values->empty()) {
        throw InputError(
            fmt::format("{}: key '{}.{}' is missing: images need a mean and a std per channel "
                        "(0..1 scale), here or at the top level of manifest.yaml, or in a "
                        "preprocessor_config.json beside the weights",
                        spec.origin, spec.name, key));
      }
      const auto channels = manifest_.geometry.channels;
      if (channels && static_cast<std::int64_t>(values->size()) != *channels) {
        throw InputError(fmt::format("{}: '{}' has {} values for {} image channels", spec.origin,
                                     key, values->size(), *channels));
      }
    }
  }

  void CheckGeometry() const {
    const Geometry& g = manifest_.geometry;
    const auto fail = [&](const std::string& what, const char* key) {
      throw InputError(fmt::format("{}: geometry: {}", manifest_.Origin(key), what));
    };
    if (g.dim && g.heads && *g.dim % *g.heads != 0) {
      fail(fmt::format("heads ({}) must divide dim ({})", *g.heads, *g.dim), "heads");
    }
    if (g.image && g.patch && *g.image % *g.patch != 0) {
      fail(fmt::format("patch ({}) must divide image ({}): {} or {} would do", *g.patch, *g.image,
                       *g.image / *g.patch * *g.patch, (*g.image / *g.patch + 1) * *g.patch),
           "image");
    }
    const bool images = (manifest_.calibration && manifest_.calibration->images) ||
                        (manifest_.evaluation && manifest_.evaluation->images);
    if (images && g.image && g.patch && g.tokens) {
      const std::int64_t side = *g.image / *g.patch;
      if (*g.tokens < side * side) {
        fail(
            fmt::format("tokens is {}, but an image of {} in patches of {} makes {}, and the class "
                        "token",
                        *g.tokens, *g.image, *g.patch, side * side),
            "tokens");
      }
    }
  }

  std::filesystem::path directory_;
  Manifest manifest_;
  std::vector<double> mean_;
  std::vector<double> stddev_;
};

const InputSpec& Require(const std::optional<InputSpec>& spec, const Manifest& manifest,
                         std::string_view name) {
  if (spec) return *spec;
  throw InputError(fmt::format("{}: section '{}' is missing: its 'images' or 'tokens' are needed",
                               manifest.path.string(), name));
}

}  // namespace

const InputSpec& Manifest::Calibration() const {
  return Require(calibration, *this, "calibration");
}
std::string Manifest::Origin(const std::string& key) const {
  const auto found = origin.find(key);
  return (found == origin.end() ? path : found->second).string();
}

const InputSpec& Manifest::Evaluation() const { return Require(evaluation, *this, "evaluation"); }

Manifest Manifest::Load(const std::filesystem::path& directory) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    throw InputError(
        fmt::format("{}: no such directory; expected one with a manifest.yaml or a config.json",
                    directory.string()));
  }
  return ManifestReader(directory).Read();
}

}  // namespace qsim::inputs
