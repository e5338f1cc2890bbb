// What a user writes or brings: configurations, contracts, search spaces, a model's directory.
#include <cmath>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "sim/calibrate/calibrate.h"
#include "sim/calibrate/observe/shard.h"
#include "sim/config/config.h"
#include "sim/error.h"
#include "sim/inputs/configuration_file.h"
#include "sim/inputs/manifest.h"
#include "sim/io/files/hash.h"
#include "sim/io/tensors/npy.h"
#include "sim/io/tensors/safetensors.h"
#include "sim/network/families/families.h"
#include "sim/sweep/space.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/target.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kConfigs = fs::path(QSIM_SOURCE_DIR) / "configs";

std::vector<std::string> Values(const Files& files) {
  std::vector<std::string> values;
  for (const auto& [name, bytes] : files) values.push_back(bytes);
  return values;
}

void RunConfig(std::string_view input) {
  const Config config = Config::Load({Written("a.yaml", input)});
  config.CheckBlocks(4);
  config.Canonical();
  config.notes();
  config.Contracts();
  config.W8a8Family();
  for (const OwnSection& own : config.OwnSections()) config.Get(own.block, own.kind->key);
}

// "KEY=VALUE", as of --set, a line each.
void RunSet(std::string_view input) {
  Config config;
  for (std::size_t at = 0; at < input.size();) {
    const std::size_t end = std::min(input.find('\n', at), input.size());
    config.Set(input.substr(at, end - at));
    at = end + 1;
  }
  config.CheckBlocks(4);
  config.Canonical();
}

void RunSpace(std::string_view input) {
  const SweepSpace space = SweepSpace::Load(Written("space.yaml", input), Config(), 4);
  space.Hash();
  for (const SweepPoint& point : space.Draw(20, space.seed())) {
    space.SettingsOf(point);
    space.ChangesOf(point);
  }
}

SafetensorsItem Weights(const std::string& name, const Shape& shape) {
  FloatTensor tensor{shape, {}};
  for (std::int64_t i = 0; i < ElementCount(shape); ++i)
    tensor.data.push_back(static_cast<float>(i % 7 - 3) / 8);
  return {name, WeightDType::kBf16, std::move(tensor)};
}

// A shipped language model with every width but that of its heads' number a sixteenth.
Files SmallLanguageModel(const std::string& name) {
  const fs::path shipped = fs::path(QSIM_SOURCE_DIR) / "vectors" / name;
  constexpr std::int64_t kParts = 16, kWide = 32, kHeads = 8;
  const auto part = [](std::int64_t width) {
    if (width < kWide) return width;
    return width % kParts == 0 ? width / kParts : (width - kHeads) / kParts + kHeads;
  };
  const Safetensors weights = Safetensors::Open(shipped / "model.safetensors");
  std::vector<SafetensorsItem> items;
  for (const std::string& tensor : weights.names()) {
    Shape shape = weights.ShapeOf(tensor);
    for (std::int64_t& width : shape) width = part(width);
    items.push_back(Weights(tensor, shape));
  }
  nlohmann::json config = nlohmann::json::parse(BytesOfFile(shipped / "config.json"));
  for (const char* key :
       {"hidden_size", "intermediate_size", "vocab_size", "head_dim", "state_size"})
    if (config.contains(key)) config[key] = part(config[key].get<std::int64_t>());
  const fs::path directory = Written(Files{});
  WriteSafetensors(directory / "model.safetensors", items);
  WriteNpy(directory / "tokens.npy",
           IntTensor(Shape{2, 3}, std::vector<std::int32_t>{0, 1, 3, 2, 0, 1}));
  Files files = FilesIn(directory);
  files["config.json"] = config.dump(1);
  files["manifest.yaml"] =
      "model: model.safetensors\nconfig: config.json\ncalibration: {tokens: tokens.npy}\n"
      "evaluation: {tokens: [tokens.npy]}\n";
  return files;
}

// A vision transformer of one block, a few kilobytes.
Files SmallVit() {
  constexpr std::int64_t kDim = 4;
  std::vector<SafetensorsItem> items;
  const auto add = [&](const std::string& name, const Shape& shape) {
    items.push_back(Weights(name, shape));
  };
  const auto add_both = [&](const std::string& name, const Shape& shape) {
    add(name + ".weight", shape);
    add(name + ".bias", {shape[0]});
  };
  add_both("patch_embed.proj", {kDim, 1, 2, 2});
  add("cls_token", {1, 1, kDim});
  add("pos_embed", {1, 5, kDim});
  add_both("blocks.0.norm1", {kDim});
  add_both("blocks.0.attn.qkv", {3 * kDim, kDim});
  add_both("blocks.0.attn.proj", {kDim, kDim});
  add_both("blocks.0.norm2", {kDim});
  add_both("blocks.0.mlp.fc1", {8, kDim});
  add_both("blocks.0.mlp.fc2", {kDim, 8});
  add_both("norm", {kDim});
  add_both("head", {3, kDim});
  const fs::path directory = Written(Files{});
  WriteSafetensors(directory / "model.safetensors", items);
  IntTensor images(DType::kUint8, {2, 1, 4, 4});
  images.As<std::uint8_t>()[3] = 200;
  WriteNpy(directory / "images.npy", images);
  WriteNpy(directory / "labels.npy", IntTensor(Shape{2}, std::vector<std::int64_t>{0, 2}));
  return FilesIn(directory);
}

std::vector<std::string> ModelSeeds() {
  Files files = SmallVit();
  const std::string inputs =
      "mean: [0.5]\nstd: [0.25]\ncalibration: {images: images.npy}\n"
      "evaluation: {images: images.npy, labels: labels.npy}\n";
  std::vector<std::string> seeds;
  files["manifest.yaml"] = "model: model.safetensors\ngeometry: {heads: 2}\n" + inputs;
  seeds.push_back(Joined(files));
  files["manifest.yaml"] =
      "name: small\nmodel: model.safetensors\ngeometry: {image: 4, channels: 1, patch: 2, dim: 4, "
      "heads: 2, tokens: 5, depth: 1, mlp_hidden: 8, classes: 3, eps: 1e-6, activation: gelu}\n" +
      inputs;
  seeds.push_back(Joined(files));
  files["manifest.yaml"] = "model: model.safetensors\n" + inputs;
  files["config.json"] =
      R"({"model_type": "vit", "num_channels": 1, "patch_size": 2, "hidden_size": 4,)"
      R"( "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8,)"
      R"( "image_size": [4, 4], "layer_norm_eps": 1e-6, "hidden_act": "gelu"})";
  files["preprocessor_config.json"] =
      R"({"image_mean": [0.5], "image_std": [0.25], "size": {"height": 4, "width": 4},)"
      R"( "rescale_factor": 0.00392156862745098, "resample": 3})";
  seeds.push_back(Joined(files));
  seeds.push_back(Joined(SmallLanguageModel("gla")));
  seeds.push_back(Joined(SmallLanguageModel("mamba2")));
  return seeds;
}

void RunModel(std::string_view input) {
  const Manifest manifest = Manifest::Load(Written(Split(input)));
  for (const auto& [spec, use] : {std::pair(&manifest.calibration, InputUse::kCalibration),
                                  {&manifest.evaluation, InputUse::kEvaluation}}) {
    if (!spec->has_value()) continue;
    try {
      LoadInputs(manifest, **spec, use);
    } catch (const InputError&) {  // the weights are another matter
    }
  }
  LoadNetwork(manifest);
}

// Calibrated by shards.
struct SmallCalibration {
  SmallCalibration() {
    Files files = SmallVit();
    files["manifest.yaml"] =
        "model: model.safetensors\ngeometry: {heads: 2}\nmean: [0.5]\nstd: [0.25]\n"
        "calibration: {images: images.npy}\n";
    const Manifest manifest = Manifest::Load(Written(files));
    network = LoadNetwork(manifest);
    inputs = LoadInputs(manifest, manifest.Calibration(), InputUse::kCalibration);
    for (const char* setting :
         {"activation.observer_type=MinmaxObserver", "norm1.observer_type=HistogramKLObserver",
          "attn_q_out.observer_type=HistogramPercentileObserver",
          "attn_v_out.observer_type=HistogramOmseObserver"})
      config.Set(setting);
  }
  network::Network network;
  ModelInputs inputs;
  Config config;
  CalibrateOptions options = [] {
    CalibrateOptions model;
    model.scope = Scope::kModel;
    return model;
  }();
};

const SmallCalibration& Small() {
  static const SmallCalibration small;
  return small;
}

const Identity kShard = {{"configuration", "12"}, {"weights", "34"}};

std::vector<std::string> ShardSeeds() {
  const Calibrator calibrator(Small().network, Small().config, Small().options);
  Observations seen = calibrator.NoObservations();
  calibrator.Observe(CalibrationInputs::From(Small().inputs), seen);
  const fs::path file = Written(Files{}) / "shard.json";
  AtomicFile written(file);
  SaveShard(written, kShard, {1, 1}, "56", seen);
  return {BytesOfFile(file)};
}

// With a checksum that is right, whatever was changed: what it says is taken, and lowered.
void RunShard(std::string_view input) {
  const Calibrator calibrator(Small().network, Small().config, Small().options);
  std::string text(input);
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("body")) {
    json["sha256"] = Sha256Hex(json["body"].dump());
    text = json.dump();
  }
  const fs::path file = Written("shard.json", text);
  Observations seen = calibrator.NoObservations();
  MergeShards(
      {file}, kShard, Small().inputs.count(), [](ShardPlace) { return "56"; }, seen);
  calibrator.Lower(seen, {{0.5}, {0.25}, "images.npy"});
}

}  // namespace

std::vector<Target> ModelTargets() {
  return {
      {"config", "configurations", "sim/config", [] { return Values(FilesIn(kConfigs)); },
       RunConfig},
      {"set", "settings of the command line", "sim/config",
       [] {
         return std::vector<std::string>{
             "attn_q_out.bit_type.bits=8\nblocks.*.norm1.calibration_mode=channel_wise",
             "numerics.softmax=ibert\nhardware.multiplier_bits=8",
             "blocks.2.mlp_fc1.observer_type=PercentileObserver\nnumerics.contract=tosa"};
       },
       RunSet},
      {"contract", "contracts of arithmetic", "sim/config/contract.cpp",
       [] { return Values(FilesIn(kConfigs / "contracts")); },
       [](std::string_view input) { ReadContractsYaml(Written("contract.yaml", input)); }},
      {"space", "search spaces", "sim/sweep/space.cpp",
       [] {
         return std::vector<std::string>{
             BytesOfFile(kConfigs / "sweep.yaml"),
             "points: 3\nseed: 2\naxes:\n  - {key: numerics.softmax, values: [ibert, ibert_rn]}\n"};
       },
       RunSpace},
      {"shard", "shares of a calibration, which is then finished",
       "sim/calibrate/observe/shard.cpp sim/calibrate/observe/shard_records.cpp", ShardSeeds,
       RunShard},
      {"model",
       "directories of a model: manifest, weights, inputs, what libraries keep beside them",
       "sim/inputs/manifest.cpp sim/inputs/input_reader.cpp sim/inputs/model_files.cpp "
       "sim/inputs/configuration_file.cpp sim/network/families",
       ModelSeeds, RunModel},
  };
}

}  // namespace qsim::testing
