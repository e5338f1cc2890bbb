#include "sim/cli/sweep_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "golden/kernels/fast_backend.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/parallel.h"
#include "sim/report/eval_report.h"
#include "sim/run/float_taps.h"
#include "sim/statistics/metrics.h"

namespace qsim {
namespace {

constexpr const char* kLogits = "logits";
constexpr const char* kImage = "image";
constexpr std::int64_t kPiece = 32;  // of the calibration inputs, in memory at once

void Hash(const ModelInputs& inputs, Sha256& hash) {
  if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
    const auto& pixels = images->pixels.As<std::uint8_t>();
    hash.Update(pixels.data(), pixels.size());
    hash.Update(fmt::format("{} {}", fmt::join(images->mean, ","), fmt::join(images->stddev, ",")));
  } else {
    const std::vector<float>& values = std::get<FloatTensor>(inputs.data).data;
    hash.Update(values.data(), values.size() * sizeof(float));
  }
  hash.Update(fmt::format(" {}\n", fmt::join(inputs.labels, ",")));
}

std::vector<std::string> UnreadTensors(const Program& program) {
  std::set<std::string> read;
  for (const Op& op : program.ops) {
    for (const std::string& name : InputsOf(op)) read.insert(name);
  }
  std::vector<std::string> unread;
  for (const Op& op : program.ops) {
    if (!read.contains(OutputOf(op))) unread.push_back(OutputOf(op));
  }
  return unread;
}

}  // namespace

SweepBench::SweepBench(const LoadedModel& loaded, std::int64_t images, int threads)
    : loaded_(loaded),
      reader_(CalibrationReader(loaded)),
      calibration_(CalibrationShare(loaded, reader_, 0, reader_.count())),
      inputs_(LoadEvaluation(loaded.manifest, images)) {
  const Bundle base = Lower(loaded_.config, threads);
  outputs_ = UnreadTensors(base.program);
  logits_ = outputs_ == std::vector<std::string>{kLogits};
  // In the order of the network, which is that of the program's tensors.
  std::vector<std::string> kept;
  for (const TensorInfo& info : base.program.tensors) {
    const auto in = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), info.name) != names.end();
    };
    if (info.name != kImage && (in(base.program.inputs) || in(outputs_))) kept.push_back(info.name);
  }
  const std::set<std::string> wanted(kept.begin(), kept.end());
  floats_.resize(static_cast<std::size_t>(inputs_.count()));
  ParallelFor(inputs_.count(), threads, [&](std::int64_t image, int) {
    FloatTaps taps({loaded_.model, inputs_}, image, wanted);
    for (const std::string& name : kept) {
      const FloatTensor* value = taps.Find(loaded_.model.NodeOf(name));
      if (value != nullptr) floats_[static_cast<std::size_t>(image)].emplace(name, *value);
    }
  });
}

std::string SweepBench::Identity() const {
  Sha256 hash;
  hash.Update(fmt::format("{} {} {} {} {} {}\n", QSIM_VERSION, loaded_.model.weights_hash,
                          Name(loaded_.calibrate.scope), loaded_.calibrate.until,
                          fmt::join(loaded_.calibrate.blocks, ","),
                          loaded_.calibrate.realise == Realise::kNearest));
  for (std::int64_t first = 0; first < calibration_.count;) {
    const ModelInputs piece = calibration_.read(first, kPiece);
    Hash(piece, hash);
    first += piece.count();
  }
  Hash(inputs_, hash);
  return hash.Finish();
}

Bundle SweepBench::Lower(const Config& config, int threads) const {
  CalibrateOptions options = loaded_.calibrate;
  options.threads = threads;
  Bundle bundle = Calibrate(loaded_.model, config, calibration_, options);
  if (!loaded_.faults.empty()) {
    loaded_.faults.PlantInBundle(loaded_.model, reader_.Read(0, 1), bundle);
  }
  return bundle;
}

TensorMap SweepBench::ProgramInputs(const Bundle& bundle, std::size_t image) const {
  TensorMap inputs;
  for (const std::string& name : bundle.program.inputs) {
    if (name == kImage) {
      inputs.emplace(name, SliceImage(std::get<ImageInputs>(inputs_.data).pixels,
                                      static_cast<std::int64_t>(image)));
    } else {
      inputs.emplace(name, bundle.GridOf(name).Quantize(floats_[image].at(name).data));
    }
  }
  return inputs;
}

SweepResult SweepBench::Try(const Config& config) const {
  SweepResult result;
  Bundle bundle;
  try {
    bundle = Lower(config, 1);
  } catch (const InputError& error) {
    result.refused = error.what();
    // One field of one line in a log.
    std::replace(result.refused.begin(), result.refused.end(), '\n', ' ');
    std::replace(result.refused.begin(), result.refused.end(), '\t', ' ');
    return result;
  }
  result.cost = CostOf(bundle);
  TensorMetrics metrics;
  FastBackend backend;
  for (std::size_t image = 0; image < floats_.size(); ++image) {
    const TensorMap values = ExecuteForOutputs(bundle.program, ProgramInputs(bundle, image),
                                               static_cast<std::int64_t>(image), backend);
    TensorMetrics of_image;
    for (const std::string& name : outputs_) {
      const std::vector<float>& reference = floats_[image].at(name).data;
      const std::vector<double> real = bundle.GridOf(name).Dequantize(values.at(name));
      of_image.Add(reference, real);
      if (!logits_) continue;
      const std::int32_t top = TopFive(real).front();
      if (top == TopFive({reference.begin(), reference.end()}).front()) ++result.same_class;
      if (has_labels() && top == inputs_.labels[image]) ++result.correct;
    }
    metrics.Merge(of_image);
  }
  result.qsnr_db = metrics.QsnrDb();
  return result;
}

}  // namespace qsim
