// The shipped model with its inputs, and bundles of it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sim/calibrate/calibrate.h"
#include "sim/config/config.h"
#include "sim/inputs/manifest.h"
#include "sim/network/families/vit.h"
#include "tests/namespaces.h"

namespace qsim::testing {

class ShippedModel {
 public:
  ShippedModel() : ShippedModel(std::filesystem::path(QSIM_SOURCE_DIR) / "vectors") {}
  explicit ShippedModel(const std::filesystem::path& directory)
      : manifest_(Manifest::Load(directory)),
        model_(network::LoadVit(manifest_)),
        calibration_(LoadInputs(manifest_, manifest_.Calibration(), InputUse::kCalibration)),
        evaluation_(LoadInputs(manifest_, manifest_.Evaluation(), InputUse::kEvaluation)) {}

  static Config ConfigWith(const std::vector<std::string>& settings = {}) {
    std::vector<std::filesystem::path> files;
    for (const char* name : {"attn", "block", "mlp", "model"}) {
      files.push_back(std::filesystem::path(QSIM_SOURCE_DIR) / "configs" /
                      (std::string(name) + "_config.yaml"));
    }
    Config config = Config::Load(files);
    for (const std::string& setting : settings) config.Set(setting);
    return config;
  }

  Bundle Calibrated(const Config& config, Scope scope,
                    std::vector<std::int64_t> blocks = {}) const {
    CalibrateOptions options;
    options.scope = scope;
    options.blocks = std::move(blocks);
    options.realise = Realise::kNearest;
    options.threads = 2;
    return Calibrate(model_, config, calibration_, options);
  }
  Bundle Calibrated(const std::vector<std::string>& settings, Scope scope) const {
    return Calibrated(ConfigWith(settings), scope);
  }

  const network::Network& model() const { return model_; }
  const ModelInputs& calibration() const { return calibration_; }
  const ModelInputs& evaluation() const { return evaluation_; }
  // Of the evaluation's.
  ModelInputs FirstImages(std::int64_t count) const {
    ModelInputs inputs = evaluation_;
    IntTensor& pixels = std::get<ImageInputs>(inputs.data).pixels;
    Shape shape = pixels.shape();
    shape[0] = count;
    std::vector<std::uint8_t> values = pixels.As<std::uint8_t>();
    values.resize(static_cast<std::size_t>(ElementCount(shape)));
    pixels = IntTensor(shape, std::move(values));
    if (!inputs.labels.empty()) inputs.labels.resize(static_cast<std::size_t>(count));
    return inputs;
  }

 private:
  Manifest manifest_;
  network::Network model_;
  ModelInputs calibration_, evaluation_;
};

}  // namespace qsim::testing
