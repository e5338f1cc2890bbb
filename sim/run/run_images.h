// Runs images, or sequences of tokens piece by piece, through the float reference, the golden
// executor and the RTL executor, and compares them tensor by tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "golden/kernels/choice.h"
#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "sim/run/float_taps.h"
#include "sim/run/pieces.h"
#include "sim/run/run_profiler.h"
#include "sim/run/run_report.h"

namespace qsim::run {

struct RtlSettings {
  double stall_probability = 0;
  std::uint64_t stall_seed = 1;
  bool check_every_tile = false;  // the array's assertions, as in cosim::RtlOptions
  // Where to write the waveform of the first failing tile, and where a reader will find it: a
  // result directory is renamed at the end.
  std::filesystem::path wave_directory;
  std::filesystem::path reported_wave_directory;
};

// Receives every tensor of a run, or its pieces, as soon as they are computed: images in any order,
// from several threads at once. `executor` is "golden", "rtl" or "float"; the tensor has no image
// axis. Of a state there is the last one alone.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  virtual void Take(std::string_view executor, const std::string& name, const TensorPlace& place,
                    const IntTensor& tensor) = 0;
  virtual void Take(std::string_view executor, const std::string& name, const TensorPlace& place,
                    const FloatTensor& tensor) = 0;
};

struct RunSettings {
  std::int64_t images = 0;
  std::int64_t batch = 32;  // images in memory at once; no result depends on it
  int threads = 1;
  std::vector<std::int64_t> chunk = {};  // lengths of pieces (PiecesOf); no result depends on them
  Kernels kernels = Kernels::kFast;      // of the golden executor; no result depends on it
  std::optional<RtlSettings> rtl;        // absent: golden only
  TensorSink* sink = nullptr;
  std::optional<ProfileRequest> profile;  // absent: no statistics
  std::function<void()> started = {};     // called when all that is given has been found good
};

// Block inputs come from `floats`, quantized, or without it from the bundle. Throws InputError, for
// example when no RTL of the bundle's array size was built. The executors walk the program side by
// side and drop each tensor behind its last reader, so that memory holds a part of a block for each
// thread, whatever the depth of the model, the number of images and the length of a sequence that
// runs in pieces.
RunReport RunImages(const Bundle& bundle, const FloatSource* floats, const RunSettings& settings);

// Quantizes the activations that reach each of the program's blocks and stores them in the bundle.
// Inputs of different lengths are filled up with zeros.
void AddBundleInputs(Bundle& bundle, const network::Network& model, const ModelInputs& inputs,
                     std::int64_t images, int threads);

}  // namespace qsim::run
