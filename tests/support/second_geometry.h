// A vision transformer of another geometry than the shipped one, with random weights that have what
// makes quantization hard: heavy-tailed norm gammas, outlier channels, a dead output channel with a
// bias, a zero gamma. dim 96, 3 heads, 6 blocks, RGB 16x16 in patches of 2: 65 tokens.
#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/io/tensors/npy.h"
#include "sim/io/tensors/safetensors.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

struct SecondGeometryOptions {
  WeightDType weights = WeightDType::kF32;
  // Token embeddings instead of images: one file of [N, tokens, dim], or a list of [tokens, dim].
  enum class Inputs : std::uint8_t { kImages, kTokenFile, kTokenList };
  Inputs inputs = Inputs::kImages;
  std::int64_t calibration_images = 16;
  std::int64_t evaluation_images = 4;
  std::int64_t depth = 6;
};

class SecondGeometry {
 public:
  static constexpr std::int64_t kDim = 96;
  static constexpr std::int64_t kHeads = 3;
  static constexpr std::int64_t kTokens = 65;
  static constexpr std::int64_t kHidden = 192;
  static constexpr std::int64_t kImage = 16;
  static constexpr std::int64_t kPatch = 2;

  // Writes manifest.yaml, model.safetensors and the inputs into an existing directory.
  static void Write(const std::filesystem::path& directory,
                    const SecondGeometryOptions& options = {}) {
    SecondGeometry writer(directory, options);
    writer.WriteWeights();
    writer.WriteInputs("calibration", options.calibration_images);
    writer.WriteInputs("evaluation", options.evaluation_images);
    writer.WriteManifest();
  }

 private:
  SecondGeometry(std::filesystem::path directory, const SecondGeometryOptions& options)
      : directory_(std::move(directory)), options_(options), engine_(20240607) {}

  // Own transformations, so that every standard library draws the same numbers.
  double Uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  double Normal() {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += Uniform();
    return sum - 6;
  }

  FloatTensor Random(const Shape& shape, double spread) {
    FloatTensor tensor{shape, {}};
    for (std::int64_t i = 0; i < ElementCount(shape); ++i)
      tensor.data.push_back(static_cast<float>(spread * Normal()));
    return tensor;
  }

  void Add(const std::string& name, FloatTensor tensor) {
    items_.push_back({name, options_.weights, std::move(tensor)});
  }

  void AddLinear(const std::string& name, std::int64_t out, std::int64_t in, double spread) {
    FloatTensor weight = Random({out, in}, spread / std::sqrt(static_cast<double>(in)));
    for (std::int64_t i = 0; i < in; ++i)  // an output channel stronger than the others
      weight.data[static_cast<std::size_t>((out / 3) * in + i)] *= 2.5F;
    FloatTensor bias = Random({out}, 0.1);
    if (name.ends_with("attn.qkv") || name.ends_with("attn.proj")) {
      const std::int64_t dead = out - 2;
      for (std::int64_t i = 0; i < in; ++i)
        weight.data[static_cast<std::size_t>(dead * in + i)] = 0;
      bias.data[static_cast<std::size_t>(dead)] = 0.75F;
    }
    Add(name + ".weight", std::move(weight));
    Add(name + ".bias", std::move(bias));
  }

  void AddNorm(const std::string& name) {
    FloatTensor gamma{{kDim}, {}};
    for (std::int64_t c = 0; c < kDim; ++c)
      gamma.data.push_back(static_cast<float>(0.6 * std::pow(1.6, Normal())));
    gamma.data[5] = 0;
    gamma.data[17] *= -1;
    Add(name + ".weight", std::move(gamma));
    Add(name + ".bias", Random({kDim}, 0.1));
  }

  void WriteWeights() {
    if (options_.inputs == SecondGeometryOptions::Inputs::kImages) {
      Add("patch_embed.proj.weight", Random({kDim, 3, kPatch, kPatch}, 0.3));
      Add("patch_embed.proj.bias", Random({kDim}, 0.1));
      Add("cls_token", Random({1, 1, kDim}, 0.5));
      Add("pos_embed", Random({1, kTokens, kDim}, 0.3));
    }
    for (std::int64_t n = 0; n < options_.depth; ++n) {
      const std::string prefix = "blocks." + std::to_string(n) + ".";
      AddNorm(prefix + "norm1");
      AddLinear(prefix + "attn.qkv", 3 * kDim, kDim, 0.9);
      AddLinear(prefix + "attn.proj", kDim, kDim, 0.8);
      AddNorm(prefix + "norm2");
      AddLinear(prefix + "mlp.fc1", kHidden, kDim, 0.8);
      AddLinear(prefix + "mlp.fc2", kDim, kHidden, 0.8);
    }
    WriteSafetensors(directory_ / "model.safetensors", items_);
  }

  void WriteInputs(const std::string& name, std::int64_t count) {
    if (options_.inputs == SecondGeometryOptions::Inputs::kImages) {
      IntTensor images(DType::kUint8, {count, 3, kImage, kImage});
      for (std::uint8_t& pixel : images.As<std::uint8_t>())
        pixel = static_cast<std::uint8_t>(engine_() % 256);
      WriteNpy(directory_ / (name + ".npy"), images);
      return;
    }
    FloatTensor tokens = Random({count, kTokens, kDim}, 0.7);
    for (std::size_t i = 7; i < tokens.data.size(); i += kDim) tokens.data[i] *= 6;  // an outlier
    if (options_.inputs == SecondGeometryOptions::Inputs::kTokenFile) {
      WriteNpy(directory_ / (name + ".npy"), tokens);
      return;
    }
    for (std::int64_t n = 0; n < count; ++n) {
      const auto begin = tokens.data.begin() + n * kTokens * kDim;
      WriteNpy(directory_ / (name + std::to_string(n) + ".npy"),
               FloatTensor{{kTokens, kDim}, {begin, begin + kTokens * kDim}});
    }
  }

  std::string Source(const std::string& name, std::int64_t count) const {
    switch (options_.inputs) {
      case SecondGeometryOptions::Inputs::kImages:
        return "  images: " + name + ".npy\n";
      case SecondGeometryOptions::Inputs::kTokenFile:
        return "  tokens: " + name + ".npy\n";
      case SecondGeometryOptions::Inputs::kTokenList:
        break;
    }
    std::string text = "  tokens:\n";
    for (std::int64_t n = 0; n < count; ++n) text += "    - " + name + std::to_string(n) + ".npy\n";
    return text;
  }

  void WriteManifest() {
    const bool images = options_.inputs == SecondGeometryOptions::Inputs::kImages;
    std::ofstream out(directory_ / "manifest.yaml");
    out << "model: model.safetensors\n"
        << "geometry: {dim: 96, heads: 3, tokens: 65, depth: " << options_.depth
        << ", mlp_hidden: 192, eps: 1e-6" << (images ? ", image: 16, channels: 3, patch: 2" : "")
        << "}\n";
    if (images) out << "mean: [0.5, 0.45, 0.4]\nstd: [0.3, 0.25, 0.2]\n";
    out << "calibration:\n" << Source("calibration", options_.calibration_images);
    out << "evaluation:\n" << Source("evaluation", options_.evaluation_images);
  }

  std::filesystem::path directory_;
  SecondGeometryOptions options_;
  std::mt19937_64 engine_;
  std::vector<SafetensorsItem> items_;
};

}  // namespace qsim::testing
