// Writes a vectors directory with a vision transformer of any geometry: random weights, random
// images, labels. By default ViT-B/16 at 224 pixels with 1000 classes, 86 million weights: what
// time and memory are measured on (docs/tutorial.md).
//
//   make_random_vit DIR [key=value ...]
//
// Keys: image, channels, patch, dim, heads, depth, hidden, classes, calibration, evaluation (the
// numbers of images), seed. The same arguments give the same bytes.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "sim/error.h"
#include "sim/io/tensors/npy.h"
#include "sim/io/tensors/safetensors.h"
#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

using Settings = std::map<std::string, std::int64_t, std::less<>>;

Settings Defaults() {
  return {{"image", 224},    {"channels", 3},    {"patch", 16},    {"dim", 768},
          {"heads", 12},     {"depth", 12},      {"hidden", 3072}, {"classes", 1000},
          {"evaluation", 1}, {"calibration", 4}, {"seed", 1}};
}

void Read(std::string_view argument, Settings& settings) {
  const std::size_t equals = argument.find('=');
  const auto found = settings.find(argument.substr(0, equals));
  if (equals == std::string_view::npos || found == settings.end()) {
    throw InputError("unknown argument '" + std::string(argument) + "'");
  }
  const std::string_view text = argument.substr(equals + 1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), found->second);
  if (error != std::errc() || end != text.data() + text.size() || found->second < 1) {
    throw InputError("'" + std::string(argument) + "': expected a number of at least 1");
  }
}

class RandomVit {
 public:
  RandomVit(std::filesystem::path directory, Settings settings)
      : directory_(std::move(directory)),
        settings_(std::move(settings)),
        engine_(static_cast<std::uint64_t>(settings_.at("seed"))),
        dim_(settings_.at("dim")) {}

  void Write() {
    std::filesystem::create_directories(directory_);
    WriteWeights();
    WriteImages("calibration");
    WriteImages("evaluation");
    WriteManifest();
  }

 private:
  std::int64_t Of(const char* key) const { return settings_.at(key); }
  std::int64_t Tokens() const {
    const std::int64_t side = Of("image") / Of("patch");
    return side * side + 1;
  }

  // Own transformations, so that every standard library draws the same numbers.
  double Uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  // Four 16-bit numbers from one draw: nearly normal, variance 1.
  double Normal() {
    const std::uint64_t bits = engine_();
    std::int64_t sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<std::int64_t>(bits >> (16 * i) & 0xffff);
    return (static_cast<double>(sum) / 65536 - 2) * 1.7320508075688772;
  }
  // Now and then several times larger, as trained weights are.
  double HeavyTailed() {
    const double x = Normal();
    return engine_() % 1024 == 0 ? 4 * x : x;
  }

  void Add(const std::string& name, const Shape& shape, double spread, double centre = 0) {
    FloatTensor tensor{shape, std::vector<float>(static_cast<std::size_t>(ElementCount(shape)))};
    for (float& v : tensor.data) v = static_cast<float>(centre + spread * HeavyTailed());
    items_.push_back({name, WeightDType::kF32, std::move(tensor)});
  }

  void AddLinear(const std::string& name, std::int64_t out, std::int64_t in, double gain) {
    Add(name + ".weight", {out, in}, gain / std::sqrt(static_cast<double>(in)));
    Add(name + ".bias", {out}, 0.1);
  }

  void AddNorm(const std::string& name) {
    Add(name + ".weight", {dim_}, 0.2, 1.0);
    Add(name + ".bias", {dim_}, 0.1);
  }

  void WriteWeights() {
    const std::int64_t patch = Of("patch");
    const double fan_in = static_cast<double>(Of("channels") * patch * patch);
    Add("patch_embed.proj.weight", {dim_, Of("channels"), patch, patch}, 1 / std::sqrt(fan_in));
    Add("patch_embed.proj.bias", {dim_}, 0.1);
    Add("cls_token", {1, 1, dim_}, 0.5);
    Add("pos_embed", {1, Tokens(), dim_}, 0.3);
    for (std::int64_t n = 0; n < Of("depth"); ++n) {
      const std::string prefix = "blocks." + std::to_string(n) + ".";
      AddNorm(prefix + "norm1");
      AddLinear(prefix + "attn.qkv", 3 * dim_, dim_, 1.0);
      AddLinear(prefix + "attn.proj", dim_, dim_, 0.7);
      AddNorm(prefix + "norm2");
      AddLinear(prefix + "mlp.fc1", Of("hidden"), dim_, 1.0);
      AddLinear(prefix + "mlp.fc2", dim_, Of("hidden"), 0.7);
    }
    AddNorm("norm");
    AddLinear("head", Of("classes"), dim_, 1.0);
    WriteSafetensors(directory_ / "model.safetensors", items_);
  }

  // Blocks of one brightness with noise on top.
  void WriteImages(const std::string& name) {
    const std::int64_t side = Of("image");
    IntTensor images(DType::kUint8, {Of(name.c_str()), Of("channels"), side, side});
    std::vector<std::uint8_t>& pixels = images.As<std::uint8_t>();
    const std::size_t block = static_cast<std::size_t>(Of("patch")) * 2;
    double level = 0;
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      if (i % block == 0) level = 40 + 175 * Uniform();
      pixels[i] = static_cast<std::uint8_t>(std::clamp(level + 20 * Normal(), 0.0, 255.0));
    }
    WriteNpy(directory_ / (name + ".npy"), images);
    IntTensor labels(DType::kInt64, {Of(name.c_str())});
    for (std::int64_t& label : labels.As<std::int64_t>()) {
      label = static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(Of("classes")));
    }
    WriteNpy(directory_ / (name + "_labels.npy"), labels);
  }

  void WriteManifest() const {
    std::ofstream out(directory_ / "manifest.yaml");
    const auto list = [&](const char* value) {
      std::string text;
      for (std::int64_t c = 0; c < Of("channels"); ++c)
        text += (c > 0 ? ", " : "") + std::string(value);
      return "[" + text + "]";
    };
    out << "model: model.safetensors\ngeometry: {heads: " << Of("heads")
        << "}\nmean: " << list("0.5") << "\nstd: " << list("0.5")
        << "\ncalibration: {images: calibration.npy}\n"
           "evaluation: {images: evaluation.npy, labels: evaluation_labels.npy}\n";
  }

  std::filesystem::path directory_;
  Settings settings_;
  std::mt19937_64 engine_;
  std::int64_t dim_;
  std::vector<SafetensorsItem> items_;
};

int Main(const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw InputError("usage: make_random_vit DIR [key=value ...]");
  Settings settings = Defaults();
  for (std::size_t i = 1; i < arguments.size(); ++i) Read(arguments[i], settings);
  RandomVit(arguments[0], std::move(settings)).Write();
  return 0;
}

}  // namespace
}  // namespace qsim::testing

int main(int argc, char** argv) {
  try {
    return qsim::testing::Main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "make_random_vit: " << error.what() << '\n';
    return 2;
  }
}
