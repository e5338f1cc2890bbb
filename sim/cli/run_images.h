// Runs images through the float reference, the golden executor and the RTL executor, and compares
// them tensor by tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/calibrate/bundle.h"
#include "sim/io/manifest.h"
#include "sim/model/vit_model.h"
#include "sim/report/run_report.h"

namespace qsim {

struct RtlSettings {
  double stall_probability = 0;
  std::uint64_t stall_seed = 1;
  // Where to write the waveform of the first failing tile, and where a reader will find it: a
  // result directory is renamed at the end.
  std::filesystem::path wave_directory;
  std::filesystem::path reported_wave_directory;
};

struct RunSettings {
  std::int64_t images = 0;
  std::int64_t batch = 32;  // images in memory at once; no result depends on it
  int threads = 1;
  std::optional<RtlSettings> rtl;  // absent: golden only
  bool keep_tensors = false;
};

// The float side of a run: what the integers are measured against.
struct FloatSource {
  const VitModel& model;
  const ModelInputs& inputs;
};

struct RunResult {
  RunReport report;
  // By tensor name, image axis in front; filled when keep_tensors is set.
  std::map<std::string, IntTensor> golden, rtl;
  std::map<std::string, FloatTensor> reference;
};

// Block inputs come from `floats`, quantized, or without it from the bundle. Throws InputError, for
// example when no RTL of the bundle's array size was built.
RunResult RunImages(const Bundle& bundle, const FloatSource* floats, const RunSettings& settings);

// The program's inputs for one image, and the float values of one tap.
TensorMap PrepareImage(const Bundle& bundle, const FloatSource& floats, std::int64_t image,
                       const std::string& tap, std::vector<float>* values);

// Quantizes the activations that reach each of the program's blocks and stores them in the bundle.
void AddBundleInputs(Bundle& bundle, const VitModel& model, const ModelInputs& inputs,
                     std::int64_t images, int threads);

}  // namespace qsim
