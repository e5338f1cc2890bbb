// A vectors directory, loaded, and calibrated with the shipped configuration plus some --set words.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/calibrate/calibrate.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/network/families/vit.h"
#include "sim/run/run_images.h"
#include "tests/namespaces.h"

namespace qsim::testing {

inline const std::filesystem::path kSourceDir = QSIM_SOURCE_DIR;

// A run's report and its integer tensors by name, image axis in front.
struct RunResult {
  RunReport report;
  std::map<std::string, IntTensor> golden, rtl;
};

class KeptTensors final : public TensorSink {
 public:
  KeptTensors(std::int64_t images, RunResult& result) : images_(images), result_(result) {}

  void Take(std::string_view executor, const std::string& name, const TensorPlace& place,
            const IntTensor& tensor) override {
    const std::lock_guard lock(mutex_);
    Shape shape = place.whole;
    shape.insert(shape.begin(), images_);
    auto& tensors = executor == "golden" ? result_.golden : result_.rtl;
    IntTensor& stacked =
        tensors.try_emplace(name, IntTensor(tensor.dtype(), std::move(shape))).first->second;
    std::visit(
        [&](auto& values) {
          const auto& part = tensor.As<typename std::decay_t<decltype(values)>::value_type>();
          const std::int64_t first = place.image * ElementCount(place.whole) + place.element;
          std::copy(part.begin(), part.end(), values.begin() + first);
        },
        stacked.storage());
  }
  void Take(std::string_view, const std::string&, const TensorPlace&, const FloatTensor&) override {
  }

 private:
  std::int64_t images_;
  RunResult& result_;
  std::mutex mutex_;
};

class Vectors {
 public:
  explicit Vectors(const std::filesystem::path& directory)
      : manifest_(Manifest::Load(directory)),
        model_(network::LoadVit(manifest_)),
        calibration_(LoadInputs(manifest_, manifest_.Calibration(), InputUse::kCalibration)),
        evaluation_(LoadInputs(manifest_, manifest_.Evaluation(), InputUse::kEvaluation)) {}
  static Vectors Shipped() { return Vectors(kSourceDir / "vectors"); }

  const network::Network& model() const { return model_; }
  const ModelInputs& calibration() const { return calibration_; }
  const ModelInputs& evaluation() const { return evaluation_; }

  static Config ConfigWith(const std::vector<std::string>& settings) {
    Config config = Config::Load({kSourceDir / "configs" / "attn_config.yaml"});
    for (const std::string& setting : settings) config.Set(setting);
    return config;
  }

  Bundle Calibrate(const std::vector<std::string>& settings, CalibrateOptions options = {}) const {
    return calibrate::Calibrate(model_, ConfigWith(settings), calibration_, options);
  }

  // Float and golden, and the RTL where settings ask for it.
  RunResult Run(const Bundle& bundle, RunSettings settings) const {
    const FloatSource floats = {model_, evaluation_};
    RunResult result;
    KeptTensors kept(settings.images, result);
    settings.sink = &kept;
    result.report = RunImages(bundle, &floats, settings);
    return result;
  }

 private:
  Manifest manifest_;
  network::Network model_;
  ModelInputs calibration_, evaluation_;
};

// The least QSNR over the blocks that have the tap.
inline double WorstQsnr(const RunReport& report, const std::string& tap) {
  std::optional<double> worst;
  for (const TapReport& t : report.taps) {
    if (!t.name.ends_with("." + tap) || !t.qsnr_db) continue;
    worst = std::min(worst.value_or(*t.qsnr_db), *t.qsnr_db);
  }
  return worst.value();
}

// One key of every activation's section: "bit_type.symmetric=False", "observer_type=...".
inline std::vector<std::string> ForEveryActivation(const std::string& key_and_value) {
  std::vector<std::string> settings;
  for (const char* tensor : {"embed", "norm1", "attn_q_out", "attn_k_out", "attn_v_input",
                             "attn_kv_out", "attn_v_out", "residual1", "residual2"}) {
    settings.push_back(std::string(tensor) + "." + key_and_value);
  }
  return settings;
}
inline std::vector<std::string> ForEveryWeight(const std::string& key_and_value) {
  return {"attn_qkv.weight." + key_and_value, "attn_proj.weight." + key_and_value};
}
inline std::vector<std::string> Join(std::vector<std::string> a,
                                     const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace qsim::testing
