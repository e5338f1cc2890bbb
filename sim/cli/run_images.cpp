#include "sim/cli/run_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "sim/calibrate/calibrate.h"
#include "sim/calibrate/dequantize.h"
#include "sim/calibrate/ideal_backend.h"
#include "sim/calibrate/step_reference.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/error.h"
#include "sim/model/float_reference.h"
#include "sim/parallel.h"
#include "sim/report/metrics.h"

namespace qsim {
namespace {

using FloatTaps = std::map<std::string, FloatTensor, std::less<>>;

constexpr std::string_view kImageInput = "image";

std::string BlockPrefix(std::int64_t block) { return fmt::format("blocks.{}.", block); }

// The float tensor that an integer one stands for: accumulators and optional int8 steps have their
// tap's.
std::string FloatNameOf(std::string name) {
  for (const std::string_view suffix : {".acc", ".quant"}) {
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  }
  if (name == "head") return "logits";
  return name;
}

// One image out of tensors with an image axis.
TensorMap ImageOf(const std::map<std::string, IntTensor>& tensors, std::int64_t image) {
  TensorMap result;
  for (const auto& [name, stacked] : tensors) {
    Shape shape(stacked.shape().begin() + 1, stacked.shape().end());
    const std::int64_t size = ElementCount(shape);
    IntTensor::Storage part = std::visit(
        [&](const auto& values) -> IntTensor::Storage {
          const auto begin = values.begin() + image * size;
          return std::decay_t<decltype(values)>(begin, begin + size);
        },
        stacked.storage());
    result.emplace(name, IntTensor(std::move(shape), std::move(part)));
  }
  return result;
}

// Every named tensor of the program's parts for one image.
FloatTaps FloatTapsOf(const Program& program, const FloatSource& floats, std::int64_t image) {
  const auto has = [&](const std::string& name) { return program.FindTensor(name) != nullptr; };
  std::int64_t last = -1;
  for (std::int64_t n = 0; n < floats.model.geometry.depth; ++n) {
    if (has(BlockPrefix(n) + "norm1")) last = n;
  }
  const FloatReference reference(floats.model);
  FloatTaps taps;
  const auto keep = [&taps](const std::string& prefix) -> FloatSink {
    return [&taps, prefix](const std::string& name, const FloatTensor& value) {
      taps.emplace(prefix + name, value);
    };
  };
  FloatTensor x = reference.Embed(floats.inputs, image, has("embed") ? keep("") : FloatSink());
  for (std::int64_t n = 0; n <= last; ++n) {
    const std::string prefix = BlockPrefix(n);
    x = reference.Block(n, x, has(prefix + "norm1") ? keep(prefix) : FloatSink());
  }
  if (has("norm")) reference.Head(x, keep(""));
  return taps;
}

TensorMap QuantizedInputs(const Bundle& bundle, const FloatSource& floats, const FloatTaps& taps,
                          std::int64_t image, RunStats* stats) {
  TensorMap inputs;
  for (const std::string& name : bundle.program.inputs) {
    if (name == kImageInput) {
      const IntTensor& pixels = std::get<ImageInputs>(floats.inputs.data).pixels;
      inputs.merge(ImageOf({{name, pixels}}, image));
      continue;
    }
    inputs.emplace(
        name, QuantizeTensor(taps.at(name), bundle.program.Tensor(name), bundle.scales.at(name),
                             stats == nullptr ? nullptr : &stats->saturated[name]));
  }
  return inputs;
}

void Append(std::map<std::string, IntTensor>& all, const TensorMap& image) {
  for (const auto& entry : image) {
    const std::string& name = entry.first;
    const IntTensor& tensor = entry.second;  // clang 14 captures no structured bindings
    Shape shape = tensor.shape();
    shape.insert(shape.begin(), 1);
    const auto [found, inserted] = all.try_emplace(name, IntTensor(shape, tensor.storage()));
    if (inserted) continue;
    IntTensor& stacked = found->second;
    shape.front() += stacked.shape().front();
    IntTensor::Storage storage = std::move(stacked.storage());
    std::visit(
        [&](auto& values) {
          const auto& more = std::get<std::decay_t<decltype(values)>>(tensor.storage());
          values.insert(values.end(), more.begin(), more.end());
        },
        storage);
    stacked = IntTensor(std::move(shape), std::move(storage));
  }
}

// The taps that the program has, too.
void Append(std::map<std::string, FloatTensor>& all, const Program& program,
            const FloatTaps& image) {
  for (const auto& [name, tensor] : image) {
    if (program.FindTensor(name) == nullptr) continue;
    FloatTensor& stacked = all[name];
    if (stacked.shape.empty()) {
      stacked.shape = tensor.shape;
      stacked.shape.insert(stacked.shape.begin(), 0);
    }
    ++stacked.shape.front();
    stacked.data.insert(stacked.data.end(), tensor.data.begin(), tensor.data.end());
  }
}

std::int64_t CountMismatches(const IntTensor& a, const IntTensor& b, std::int64_t* first) {
  if (a == b) return 0;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (a.At(i) == b.At(i)) continue;
    if (count++ == 0) *first = i;
  }
  return count;
}

std::vector<std::int64_t> IndexOf(std::int64_t element, const Shape& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = element % shape[axis];
    element /= shape[axis];
  }
  return index;
}

// The tile in which the RTL computes an element, by the numbering of docs/rtl.md.
cosim::TraceRequest LocateTile(const Program& program, const std::string& tap, std::int64_t image,
                               std::int64_t element, cosim::ArrayShape array) {
  const Shape& shape = program.Tensor(tap).shape;
  std::int64_t row = element / shape.back();
  std::int64_t column = element % shape.back();
  cosim::TraceRequest tile;
  tile.tap = tap;
  tile.image = image;
  for (const Op& op : program.ops) {
    const auto* matmul = std::get_if<MatmulOp>(&op);
    if (matmul == nullptr || matmul->output != tap) continue;
    if (matmul->transpose_rhs) {
      tile.head = row / shape[1];
      row %= shape[1];
    } else {
      const std::int64_t head_dim = shape.back() / matmul->heads;
      tile.head = column / head_dim;
      column %= head_dim;
    }
  }
  const cosim::TileIndex index = cosim::TileOf(array, row, column);
  tile.tile_row = index.row;
  tile.tile_col = index.col;
  return tile;
}

std::string Describe(const cosim::TraceRequest& tile) {
  return fmt::format("head {}, tile ({}, {})", tile.head, tile.tile_row, tile.tile_col);
}

struct TapMetrics {
  TensorMetrics golden, ideal, step;
  void Merge(const TapMetrics& later) {
    golden.Merge(later.golden);
    ideal.Merge(later.ideal);
    step.Merge(later.step);
  }
};

// Everything that is kept of one image until it is merged in order.
struct ImageResult {
  TensorMap golden, rtl;
  FloatTaps floats;
  RunStats stats;
  std::map<std::string, TapMetrics> metrics;
  struct Mismatch {
    std::int64_t count = 0;
    std::int64_t first = 0;
  };
  std::map<std::string, Mismatch> mismatches;
};

class Runner {
 public:
  Runner(const Bundle& bundle, const FloatSource* floats, const RunSettings& settings)
      : bundle_(bundle), program_(bundle.program), floats_(floats), settings_(settings) {
    if (settings_.rtl) {
      rtl_options_.array = {bundle.hardware.array_rows, bundle.hardware.array_cols};
      rtl_options_.stalls.probability = settings_.rtl->stall_probability;
      rtl_options_.stalls.seed = settings_.rtl->stall_seed;
      for (int i = 0; i < settings_.threads; ++i) {
        backends_.push_back(std::make_unique<cosim::RtlBackend>(rtl_options_));
      }
    }
    if (floats_ != nullptr) {
      const auto* images = std::get_if<ImageInputs>(&floats_->inputs.data);
      steps_.emplace(bundle_, floats_->model,
                     images != nullptr ? images->mean : std::vector<double>{},
                     images != nullptr ? images->stddev : std::vector<double>{});
    }
    for (const TensorInfo& info : program_.tensors) {
      TapReport tap;
      tap.name = info.name;
      tap.shape = info.shape;
      tap.shape.insert(tap.shape.begin(), settings.images);
      tap.dtype = std::string(Name(info.dtype));
      taps_.push_back(std::move(tap));
    }
  }

  RunResult Run() {
    for (std::int64_t first = 0; first < settings_.images; first += settings_.batch) {
      const std::int64_t size = std::min(settings_.batch, settings_.images - first);
      std::vector<ImageResult> results(static_cast<std::size_t>(size));
      ParallelFor(size, settings_.threads, [&](std::int64_t i, int worker) {
        results[static_cast<std::size_t>(i)] = RunImage(first + i, worker);
      });
      for (std::int64_t i = 0; i < size; ++i)
        Merge(first + i, results[static_cast<std::size_t>(i)]);
    }
    Finish();
    return std::move(result_);
  }

 private:
  ImageResult RunImage(std::int64_t image, int worker) {
    ImageResult r;
    TensorMap inputs;
    if (floats_ != nullptr) {
      r.floats = FloatTapsOf(program_, *floats_, image);
      inputs = QuantizedInputs(bundle_, *floats_, r.floats, image, &r.stats);
    } else {
      inputs = ImageOf(bundle_.inputs, image);
    }
    GoldenBackend golden;
    r.golden = Execute(program_, inputs, image, golden, &r.stats, {.track_accumulators = true});
    if (settings_.rtl) {
      r.rtl = Execute(program_, inputs, image, *backends_[static_cast<std::size_t>(worker)]);
      for (const auto& [name, tensor] : r.golden) {
        ImageResult::Mismatch m;
        m.count = CountMismatches(tensor, r.rtl.at(name), &m.first);
        if (m.count > 0) r.mismatches.emplace(name, m);
      }
    }
    for (const TensorInfo& info : program_.tensors) CountClampedSums(info, r);
    if (floats_ != nullptr) Measure(inputs, image, r);
    if (!settings_.keep_tensors && r.mismatches.empty()) {
      r.golden.clear();
      r.rtl.clear();
      r.floats.clear();
    }
    return r;
  }

  // The golden result and ideal fake quantization against the float reference, and each step
  // against its own exact operation.
  void Measure(const TensorMap& inputs, std::int64_t image, ImageResult& r) const {
    IdealBackend backend(bundle_, floats_->model);
    const TensorMap ideal = Execute(program_, inputs, image, backend);
    for (const TensorInfo& info : program_.tensors) {
      const auto found = r.floats.find(FloatNameOf(info.name));
      if (found == r.floats.end()) continue;
      const TensorScale& scale = bundle_.scales.at(info.name);
      TapMetrics& metrics = r.metrics[info.name];
      metrics.golden.Add(found->second.data, Dequantize(r.golden.at(info.name), scale));
      metrics.ideal.Add(found->second.data, Dequantize(ideal.at(info.name), scale));
    }
    for (const Op& op : program_.ops) {
      const std::string& name = OutputOf(op);
      const std::vector<float> exact = steps_->Output(op, r.golden);
      if (exact.empty()) continue;
      r.metrics[name].step.Add(exact, Dequantize(r.golden.at(name), bundle_.scales.at(name)));
    }
  }

  // A saturating accumulator reports itself by resting on a limit.
  static void CountClampedSums(const TensorInfo& info, ImageResult& r) {
    if (info.dtype != DType::kInt32) return;
    std::int64_t& count = r.stats.saturated[info.name];
    for (const std::int32_t v : r.golden.at(info.name).As<std::int32_t>()) {
      if (v == info.range.qmin || v == info.range.qmax) ++count;
    }
  }

  void Merge(std::int64_t image, ImageResult& r) {
    stats_.Merge(r.stats);
    for (const auto& [name, metrics] : r.metrics) metrics_[name].Merge(metrics);
    for (TapReport& tap : taps_) {
      const auto found = r.mismatches.find(tap.name);
      if (settings_.rtl) tap.mismatches = tap.mismatches.value_or(0);
      if (found == r.mismatches.end()) continue;
      if (*tap.mismatches == 0)
        tap.first_mismatch = MismatchOf(tap.name, image, found->second.first, r);
      *tap.mismatches += found->second.count;
    }
    if (!r.mismatches.empty() && !failed_image_) failed_image_ = image;
    if (!settings_.keep_tensors) return;
    Append(result_.golden, r.golden);
    Append(result_.rtl, r.rtl);
    Append(result_.reference, program_, r.floats);
  }

  FirstMismatch MismatchOf(const std::string& tap, std::int64_t image, std::int64_t element,
                           const ImageResult& r) {
    FirstMismatch m;
    m.index = IndexOf(element, program_.Tensor(tap).shape);
    m.index.insert(m.index.begin(), image);
    m.expected = r.golden.at(tap).At(element);
    m.actual = r.rtl.at(tap).At(element);
    const cosim::TraceRequest tile = LocateTile(program_, tap, image, element, rtl_options_.array);
    m.tile = Describe(tile);
    // The first tensor of the first failing image is the culprit; what follows it has wrong inputs.
    if (!failed_image_ && !traced_) m.waveform = Trace(tile, r.golden);
    return m;
  }

  // Runs the failing image once more, recording the tile.
  std::string Trace(cosim::TraceRequest tile, const TensorMap& golden) {
    traced_ = true;
    const std::string file = fmt::format("{}.image{}.head{}.tile{}_{}.fst", tile.tap, tile.image,
                                         tile.head, tile.tile_row, tile.tile_col);
    std::filesystem::create_directories(settings_.rtl->wave_directory);
    tile.fst = settings_.rtl->wave_directory / file;
    cosim::RtlOptions options = rtl_options_;
    options.trace = tile;
    cosim::RtlBackend backend(options);
    TensorMap inputs;
    for (const std::string& name : program_.inputs) inputs.emplace(name, golden.at(name));
    Execute(program_, inputs, tile.image, backend);
    return (settings_.rtl->reported_wave_directory / file).string();
  }

  void Finish() {
    RunReport& report = result_.report;
    for (TapReport& tap : taps_) {
      const auto found = metrics_.find(tap.name);
      if (found != metrics_.end()) {
        const TapMetrics& m = found->second;
        if (m.golden.elements() > 0) {
          tap.qsnr_db = m.golden.QsnrDb();
          tap.ideal_qsnr_db = m.ideal.QsnrDb();
          tap.cosine = m.golden.Cosine();
          tap.max_abs_error = m.golden.MaxAbsError();
        }
        if (m.step.elements() > 0) tap.step_qsnr_db = m.step.QsnrDb();
      }
      tap.saturated_share = static_cast<double>(stats_.saturated[tap.name]) /
                            static_cast<double>(ElementCount(tap.shape));
    }
    report.taps = std::move(taps_);
    report.images = settings_.images;
    report.hardware = bundle_.hardware;
    report.provenance = bundle_.provenance;
    report.notes = bundle_.notes;
    report.rtl = settings_.rtl.has_value();
    if (settings_.rtl && settings_.rtl->stall_probability > 0)
      report.stall_seed = settings_.rtl->stall_seed;
    for (const AccumulatorProof& proof : ProveAccumulators(program_)) {
      report.accumulators.push_back({proof, stats_.accumulators[proof.tap]});
    }
    AddCycles(report);
  }

  void AddCycles(RunReport& report) const {
    cosim::StatsByTap total;
    for (const auto& backend : backends_) cosim::Merge(backend->stats(), total);
    for (const Op& op : program_.ops) {
      const auto found = total.find(OutputOf(op));
      if (found == total.end()) continue;
      const cosim::RtlStats& s = found->second;
      report.cycles.push_back({found->first, s.cycles, s.macs, s.tiles, s.Utilisation()});
    }
  }

  const Bundle& bundle_;
  const Program& program_;
  const FloatSource* floats_;
  const RunSettings& settings_;
  cosim::RtlOptions rtl_options_;
  std::vector<std::unique_ptr<cosim::RtlBackend>> backends_;  // one per worker

  std::optional<StepReference> steps_;

  RunResult result_;
  std::vector<TapReport> taps_;
  std::map<std::string, TapMetrics> metrics_;
  RunStats stats_;
  std::optional<std::int64_t> failed_image_;
  bool traced_ = false;
};

}  // namespace

RunResult RunImages(const Bundle& bundle, const FloatSource* floats, const RunSettings& settings) {
  return Runner(bundle, floats, settings).Run();
}

TensorMap PrepareImage(const Bundle& bundle, const FloatSource& floats, std::int64_t image,
                       const std::string& tap, std::vector<float>* values) {
  FloatTaps taps = FloatTapsOf(bundle.program, floats, image);
  TensorMap inputs = QuantizedInputs(bundle, floats, taps, image, nullptr);
  *values = std::move(taps.at(tap).data);
  return inputs;
}

void AddBundleInputs(Bundle& bundle, const VitModel& model, const ModelInputs& inputs,
                     std::int64_t images, int threads) {
  const FloatSource floats = {model, inputs};
  std::vector<TensorMap> quantized(static_cast<std::size_t>(images));
  ParallelFor(images, threads, [&](std::int64_t image, int) {
    quantized[static_cast<std::size_t>(image)] =
        QuantizedInputs(bundle, floats, FloatTapsOf(bundle.program, floats, image), image, nullptr);
  });
  for (const TensorMap& image : quantized) Append(bundle.inputs, image);
}

}  // namespace qsim
