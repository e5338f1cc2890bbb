#include "sim/inputs/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "sim/error.h"
#include "sim/inputs/configuration_file.h"
#include "sim/text/printable.h"

namespace qsim::inputs {
namespace {

using Json = nlohmann::json;
using Integer = std::optional<std::int64_t> Geometry::*;

// transformers' architectures that are plain vision transformers.
constexpr std::string_view kModelTypes[] = {"vit",     "deit",  "dinov2",  "dinov2_with_registers",
                                            "vit_msn", "ijepa", "vit_mae", "clip_vision_model"};

// transformers' keys. A size may be a pair, of which both must be the same.
constexpr std::pair<const char*, std::pair<const char*, Integer>> kKeys[] = {
    {"num_channels", {"channels", &Geometry::channels}},
    {"patch_size", {"patch", &Geometry::patch}},
    {"hidden_size", {"dim", &Geometry::dim}},
    {"num_attention_heads", {"heads", &Geometry::heads}},
    {"num_hidden_layers", {"depth", &Geometry::depth}},
    {"intermediate_size", {"mlp_hidden", &Geometry::mlp_hidden}},
    {"image_size", {"image", &Geometry::image}},
};

// Those whose settings sim/network/families reads.
constexpr std::string_view kLanguageTypes[] = {"gla", "mamba2"};

// Settings under which the network computes something else, by what they are there.
constexpr std::pair<const char*, const char*> kOther[] = {
    {"use_swiglu_ffn", "a gated MLP (SwiGLU)"},
    {"use_mean_pooling", "a head that reads the mean of the patches"},
    {"use_relative_position_bias", "relative position biases"},
    {"use_shared_relative_position_bias", "relative position biases"},
};

// timm's sizes by the second word of an architecture's name: "vit_small_patch16_224".
constexpr std::pair<std::string_view, std::int64_t> kTimmHeads[] = {
    {"tiny", 3}, {"small", 6}, {"medium", 8}, {"base", 12}, {"large", 16}, {"huge", 16}};

class Reader {
 public:
  ModelFiles Read(const std::filesystem::path& config, const std::filesystem::path& directory) {
    if (!config.empty()) {
      Open(config);
      if (json_.contains("pretrained_cfg") || json_.contains("architecture")) {
        ReadTimm();
      } else {
        ReadTransformers();
      }
    }
    const std::filesystem::path preprocessor = directory / "preprocessor_config.json";
    std::error_code ignored;
    if (std::filesystem::exists(preprocessor, ignored)) {
      Open(preprocessor);
      ReadPreprocessor();
    }
    return std::move(files_);
  }

 private:
  void Open(std::filesystem::path path) {
    path_ = std::move(path);
    files_.found = true;
    json_ = ReadConfiguration(path_);
  }

  [[noreturn]] void Fail(const std::string& what) const {
    throw InputError(fmt::format("{}: {}", Printable(path_.string()), what));
  }
  [[noreturn]] void FailKey(const std::string& key, const Json& value, const char* expected) const {
    Fail(fmt::format("key '{}': expected {}, got {}", key, expected, Printable(value.dump())));
  }

  std::int64_t Positive(const std::string& key, const Json& value) const {
    const double most = key == "num_hidden_layers" ? static_cast<double>(kMostLayers) : 1 << 20;
    if (!value.is_number_integer() || value.get<double>() < 1 || value.get<double>() > most)
      FailKey(key, value, "a positive integer");
    return value.get<std::int64_t>();
  }

  void State(const char* name, Integer member, std::int64_t value) {
    files_.geometry.*member = value;
    files_.origin[name] = path_;
  }

  void State(const char* name, std::optional<std::string> Geometry::*member, const Json& value) {
    if (!value.is_string()) FailKey(name, value, "a name");
    files_.geometry.*member = value.get<std::string>();
    files_.origin[name] = path_;
  }

  // One for both sides, a list or a map of both.
  std::int64_t Side(const std::string& key, const Json& value) const {
    if (value.is_number()) return Positive(key, value);
    std::vector<std::int64_t> sides;
    if (value.is_structured()) {
      for (const Json& side : value) sides.push_back(Positive(key, side));
    }
    if (sides.empty() || sides.front() != sides.back()) FailKey(key, value, "a square size");
    return sides.front();
  }

  void ReadTransformers() {
    const std::string type = json_.value("model_type", Json()).is_string()
                                 ? json_["model_type"].get<std::string>()
                                 : std::string();
    const auto is_one_of = [&type](const auto& types) {
      return std::find(std::begin(types), std::end(types), type) != std::end(types);
    };
    if (is_one_of(kLanguageTypes)) return;
    if (!type.empty() && !is_one_of(kModelTypes)) {
      Fail(fmt::format("model_type '{}' is not supported; these are: {}, {}", Printable(type),
                       fmt::join(kModelTypes, ", "), fmt::join(kLanguageTypes, ", ")));
    }
    for (const auto& [key, what] : kOther) {
      const auto value = json_.find(key);
      if (value != json_.end() && *value == Json(true))
        Fail(fmt::format("key '{}': {} is not supported", key, what));
    }
    for (const auto& [key, place] : kKeys) {
      const auto value = json_.find(key);
      if (value != json_.end() && !value->is_null())
        State(place.first, place.second, Side(key, *value));
    }
    // Dinov2 states the MLP's width as a multiple.
    const auto ratio = json_.find("mlp_ratio");
    if (ratio != json_.end() && !files_.geometry.mlp_hidden && files_.geometry.dim) {
      if (!ratio->is_number()) FailKey("mlp_ratio", *ratio, "a number");
      State("mlp_hidden", &Geometry::mlp_hidden,
            static_cast<std::int64_t>(static_cast<double>(*files_.geometry.dim) *
                                      ratio->get<double>()));
    }
    const auto eps = json_.find("layer_norm_eps");
    if (eps != json_.end()) {
      if (!eps->is_number() || eps->get<double>() <= 0 || eps->get<double>() >= 1)
        FailKey("layer_norm_eps", *eps, "a number in (0, 1)");
      files_.geometry.eps = eps->get<double>();
      files_.origin["eps"] = path_;
    }
    const auto activation = json_.find("hidden_act");
    if (activation != json_.end()) State("activation", &Geometry::activation, *activation);
  }

  void ReadTimm() {
    const std::string architecture =
        json_.contains("architecture") && json_["architecture"].is_string()
            ? json_["architecture"].get<std::string>()
            : "";
    files_.name = architecture;
    for (const auto& [size, heads] : kTimmHeads) {
      const bool is_vit = architecture.starts_with("vit_") || architecture.starts_with("deit");
      if (is_vit && architecture.find(fmt::format("_{}_", size)) != std::string::npos)
        State("heads", &Geometry::heads, heads);
    }
    if (architecture.find("quickgelu") != std::string::npos)
      State("activation", &Geometry::activation, Json("quick_gelu"));
    const auto pool = json_.find("global_pool");
    if (pool != json_.end() && *pool != Json("")) State("pool", &Geometry::pool, *pool);
    const auto pretrained = json_.find("pretrained_cfg");
    if (pretrained == json_.end() || !pretrained->is_object()) return;
    const auto size = pretrained->find("input_size");
    if (size != pretrained->end()) {
      if (!size->is_array() || size->size() != 3)
        FailKey("input_size", *size, "[channels, height, width]");
      State("channels", &Geometry::channels, Positive("input_size", (*size)[0]));
      State("image", &Geometry::image, Side("input_size", Json({(*size)[1], (*size)[2]})));
    }
    Normalisation(*pretrained, "mean", "std", 1);
    const auto crop = pretrained->find("crop_pct");
    if (crop != pretrained->end() && !crop->is_null()) {
      if (!crop->is_number() || crop->get<double>() < 0.1 || crop->get<double>() > 1)
        FailKey("crop_pct", *crop, "a number in 0.1..1");
      StateEdge(1 / crop->get<double>());
    }
    const auto filter = pretrained->find("interpolation");
    if (filter != pretrained->end() && *filter == Json("bilinear"))
      files_.resize.filter = ResizeFilter::kBilinear;
    if (filter != pretrained->end() && *filter == Json("bicubic"))
      files_.resize.filter = ResizeFilter::kBicubic;
  }

  // Pixels p enter as (p factor - mean) / std.
  void Normalisation(const Json& from, const char* mean, const char* stddev, double factor) {
    for (const auto& [key, to] :
         {std::pair(mean, &files_.mean), std::pair(stddev, &files_.stddev)}) {
      const auto values = from.find(key);
      if (values == from.end() || values->is_null()) continue;
      to->clear();
      for (const Json& value : values->is_array() ? *values : Json::array({*values})) {
        if (!value.is_number()) FailKey(key, *values, "a number for each channel");
        to->push_back(value.get<double>() / factor);
      }
      files_.origin[to == &files_.mean ? "mean" : "std"] = path_;
    }
  }

  void ReadPreprocessor() {
    const auto is_false = [&](const char* key) {
      const auto value = json_.find(key);
      return value != json_.end() && *value == Json(false);
    };
    // Their factor of 255: 1 where a pixel enters on a 0..1 scale, as nearly always.
    double factor = is_false("do_rescale") ? 255 : 1;
    const auto stated = json_.find("rescale_factor");
    if (factor == 1 && stated != json_.end() && stated->is_number()) {
      factor = 255 * stated->get<double>();
      if (std::fabs(factor - 1) < 1e-6) factor = 1;
    }
    if (!is_false("do_normalize")) {
      Normalisation(json_, "image_mean", "image_std", factor);
    } else {
      const std::size_t channels = static_cast<std::size_t>(files_.geometry.channels.value_or(3));
      files_.mean.assign(channels, 0);
      files_.stddev.assign(channels, 1 / factor);
      files_.origin["mean"] = files_.origin["std"] = path_;
    }
    const auto stated_size = [&](const char* key) -> std::optional<std::int64_t> {
      const auto value = json_.find(key);
      if (value == json_.end() || value->is_null()) return std::nullopt;
      return Side(key, *value);
    };
    const auto crop = is_false("do_center_crop") ? std::nullopt : stated_size("crop_size");
    const std::int64_t size = is_false("do_resize") ? 0 : stated_size("size").value_or(0);
    const auto image = crop ? crop : stated_size("size");
    if (image) State("image", &Geometry::image, *image);
    // A size of both sides is taken for that of the shorter one: no image is distorted here.
    if (image && size >= *image) StateEdge(static_cast<double>(size) / static_cast<double>(*image));
    const auto resample = json_.find("resample");  // Pillow's numbers
    if (resample != json_.end() && *resample == Json(2))
      files_.resize.filter = ResizeFilter::kBilinear;
    if (resample != json_.end() && *resample == Json(3))
      files_.resize.filter = ResizeFilter::kBicubic;
  }

  void StateEdge(double edge) {
    files_.resize.edge = edge;
    files_.origin["resize"] = path_;
  }

  std::filesystem::path path_;
  Json json_;
  ModelFiles files_;
};

}  // namespace

ModelFiles ModelFiles::Read(const std::filesystem::path& config,
                            const std::filesystem::path& directory) {
  return Reader().Read(config, directory);
}

}  // namespace qsim::inputs
