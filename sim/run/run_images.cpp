#include "sim/run/run_images.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "golden/program/executor.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/error.h"
#include "sim/parallel.h"
#include "sim/run/mismatch.h"
#include "sim/semantics/mixed.h"
#include "sim/statistics/metrics.h"

namespace qsim::run {
namespace {

std::string Describe(const cosim::TraceRequest& tile) {
  return fmt::format("head {}, tile ({}, {})", tile.head, tile.tile_row, tile.tile_col);
}

// Of this thread alone: what other work does to the machine is no part of an operation's time.
double ThreadSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct TapMetrics {
  TensorMetrics golden, ideal, step;
  void Merge(const TapMetrics& later) {
    golden.Merge(later.golden);
    ideal.Merge(later.ideal);
    step.Merge(later.step);
  }
};

// What is kept of one image until it is merged in order.
struct ImageResult {
  RunStats stats;
  std::map<std::string, TapMetrics> metrics;
  std::map<std::string, TapMismatch> mismatches;
  RunProfiler::Image profile;
};

// The executors of one image, side by side, and the float reference.
struct Executors {
  Execution* golden = nullptr;
  Execution* rtl = nullptr;     // null without RTL
  FloatTaps* floats = nullptr;  // null without float reference; then the states below stay empty
  MixedState ideal;             // ideal fake quantization
  MixedState dequantized;       // the golden run's, which each step alone starts from
  MixedState undivided;         // float values of what the network has only divided

  template <typename Action>
  void ForEach(Action action) const {
    action(*golden);
    if (rtl != nullptr) action(*rtl);
  }
};

class Runner {
 public:
  Runner(const Bundle& bundle, const FloatSource* floats, const RunSettings& settings)
      : bundle_(bundle),
        program_(bundle.program),
        floats_(floats),
        settings_(settings),
        golden_(settings.kernels, program_),
        last_reads_(LastReads(program_)) {
    if (settings_.rtl) {
      rtl_options_.array = {bundle.hardware.array_rows, bundle.hardware.array_cols};
      rtl_options_.stalls.probability = settings_.rtl->stall_probability;
      rtl_options_.stalls.seed = settings_.rtl->stall_seed;
      for (int i = 0; i < settings_.threads; ++i) {
        backends_.push_back(std::make_unique<cosim::RtlBackend>(rtl_options_));
      }
    }
    if (floats_ != nullptr) mixed_.emplace(bundle_, floats_->model, floats_->inputs);
    if (settings_.profile) {
      profiler_.emplace(bundle_, mixed_ ? &*mixed_ : nullptr, *settings_.profile,
                        settings_.threads);
    }
    for (const TensorInfo& info : program_.tensors) {
      if (const network::Node* node = NodeOf(info.name)) float_names_.insert(node->name);
      TapReport tap;
      tap.name = info.name;
      tap.shape = info.shape;
      tap.shape.insert(tap.shape.begin(), settings.images);
      tap.dtype = std::string(Name(info.dtype));
      taps_.push_back(std::move(tap));
    }
  }

  RunReport Run() {
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
    return std::move(report_);
  }

 private:
  // What a tensor stands for; null without float reference.
  const network::Node* NodeOf(const std::string& tensor) const {
    return floats_ == nullptr ? nullptr : floats_->model.NodeOf(tensor);
  }

  ImageResult RunImage(std::int64_t image, int worker) {
    ImageResult r;
    Execution golden(program_, image, *golden_, &r.stats, {.track_accumulators = true});
    Executors e;
    e.golden = &golden;
    std::optional<FloatTaps> floats;
    if (floats_ != nullptr) e.floats = &floats.emplace(*floats_, image, float_names_);
    std::optional<Execution> rtl;
    if (settings_.rtl) {
      e.rtl = &rtl.emplace(program_, image, *backends_[static_cast<std::size_t>(worker)]);
    }
    Walk(image, worker, e, r);
    return r;
  }

  void Walk(std::int64_t image, int worker, Executors& e, ImageResult& r) {
    std::vector<std::string> waiting = program_.inputs;
    const auto supply = [&](const std::string& name) {
      const IntTensor value = InputOf(name, image, e.floats, &r.stats);
      e.ForEach([&](Execution& execution) { execution.Supply(name, value); });
      if (mixed_) e.ideal[name] = std::make_shared<MixedTensor>(value, bundle_.GridOf(name));
      Look(name, image, worker, e, r);
    };
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      const Op& op = program_.ops[i];
      for (const std::string& name : InputsOf(op)) {
        if (std::erase(waiting, name) > 0) supply(name);
      }
      StepGolden(i, *e.golden, r);
      if (e.rtl != nullptr) e.rtl->Step(i);
      const std::string& output = OutputOf(op);
      if (mixed_) {
        e.ideal[output] = mixed_->Compute(mixed_->NodeOf(output), Exactness::Ideal(), e.ideal);
      }
      Look(output, image, worker, e, r);
      for (const std::string& name : last_reads_[i]) {
        e.ForEach([&](Execution& execution) { execution.Drop(name); });
        e.ideal.erase(name);
        e.dequantized.erase(name);
        e.undivided.erase(name);
      }
    }
    for (const std::string& name : waiting) supply(name);  // inputs that nothing reads
  }

  void StepGolden(std::size_t op, Execution& golden, ImageResult& r) const {
    if (!profiler_ || !profiler_->costs()) return golden.Step(op);
    const double start = ThreadSeconds();
    golden.Step(op);
    profiler_->TakeTime(r.profile, op, ThreadSeconds() - start);
  }

  IntTensor InputOf(const std::string& name, std::int64_t image, FloatTaps* floats,
                    RunStats* stats) const {
    if (floats == nullptr) return SliceImage(bundle_.inputs.at(name), image);
    return ProgramInput(bundle_, *floats_, image, name, *floats,
                        stats == nullptr ? nullptr : &stats->saturated[name]);
  }

  // The real numbers that a tensor's integers stand for; null where the float network has none.
  const FloatTensor* FloatOf(const std::string& name, Executors& e) const {
    if (e.floats == nullptr) return nullptr;
    if (!mixed_->Undivided(name)) return e.floats->Find(NodeOf(name));
    const std::size_t node = mixed_->NodeOf(name);
    MixedState reads;
    for (const std::string& input : InputsOf(*mixed_->OpOf(node))) {
      const auto found = e.undivided.find(input);
      if (found != e.undivided.end()) {
        reads.insert(*found);
      } else if (const FloatTensor* value = e.floats->Find(NodeOf(input))) {
        reads[input] = std::make_shared<MixedTensor>(*value);
      } else {
        return nullptr;
      }
    }
    e.undivided[name] = mixed_->Compute(node, Exactness::All(), reads);
    return &e.undivided.at(name)->real();
  }

  // Everything there is to do with a tensor that has just appeared.
  void Look(const std::string& name, std::int64_t image, int worker, Executors& e, ImageResult& r) {
    const IntTensor& golden = e.golden->values().at(name);
    CountClampedSums(program_.Tensor(name), golden, r);
    if (settings_.sink != nullptr) settings_.sink->Take("golden", name, image, golden);
    if (e.rtl != nullptr) {
      const IntTensor& rtl = e.rtl->values().at(name);
      const TapMismatch mismatch = CompareTensors(golden, rtl);
      if (mismatch.count > 0) r.mismatches.emplace(name, mismatch);
      if (settings_.sink != nullptr) settings_.sink->Take("rtl", name, image, rtl);
    }
    if (!mixed_ && !profiler_) return;
    const FloatTensor* exact = FloatOf(name, e);
    const std::vector<double> quantized = bundle_.GridOf(name).Dequantize(golden);
    if (profiler_) {
      profiler_->Take(worker, image, r.profile, name, golden, quantized,
                      exact == nullptr ? std::span<const float>() : exact->data);
    }
    if (!mixed_) return;
    e.dequantized[name] = std::make_shared<MixedTensor>(
        FloatTensor{golden.shape(), {quantized.begin(), quantized.end()}});
    if (exact == nullptr) return;
    if (settings_.sink != nullptr && NodeOf(name)->name == name)
      settings_.sink->Take("float", name, image, *exact);
    TapMetrics& metrics = r.metrics[name];
    metrics.golden.Add(exact->data, quantized);
    metrics.ideal.Add(exact->data, e.ideal.at(name)->Doubles());
    const std::size_t node = mixed_->NodeOf(name);
    if (mixed_->OpOf(node) == nullptr) return;
    const auto step = mixed_->Compute(node, Exactness::All(), e.dequantized);
    metrics.step.Add(step->real().data, quantized);
  }

  // A saturating accumulator reports itself by resting on a limit.
  static void CountClampedSums(const TensorInfo& info, const IntTensor& tensor, ImageResult& r) {
    if (info.dtype != DType::kInt32) return;
    std::int64_t& count = r.stats.saturated[info.name];
    for (const std::int32_t v : tensor.As<std::int32_t>()) {
      if (v == info.range.qmin || v == info.range.qmax) ++count;
    }
  }

  void Merge(std::int64_t image, ImageResult& r) {
    stats_.Merge(r.stats);
    if (profiler_) profiler_->Merge(r.profile);
    for (const auto& [name, metrics] : r.metrics) metrics_[name].Merge(metrics);
    for (TapReport& tap : taps_) {
      const auto found = r.mismatches.find(tap.name);
      if (settings_.rtl) tap.mismatches = tap.mismatches.value_or(0);
      if (found == r.mismatches.end()) continue;
      if (*tap.mismatches == 0) tap.first_mismatch = MismatchOf(tap.name, image, found->second);
      *tap.mismatches += found->second.count;
    }
    if (!r.mismatches.empty() && !failed_image_) failed_image_ = image;
  }

  FirstMismatch MismatchOf(const std::string& tap, std::int64_t image,
                           const TapMismatch& mismatch) {
    FirstMismatch m;
    m.index = IndexOf(mismatch.first, program_.Tensor(tap).shape);
    m.index.insert(m.index.begin(), image);
    m.expected = mismatch.expected;
    m.actual = mismatch.actual;
    const cosim::TraceRequest tile =
        LocateTile(program_, tap, image, mismatch.first, rtl_options_.array);
    m.tile = Describe(tile);
    // The first tensor of the first failing image is the culprit; what follows it has wrong inputs.
    if (!failed_image_ && !traced_) m.waveform = Trace(tile);
    return m;
  }

  // Runs the failing image once more, recording the tile.
  std::string Trace(cosim::TraceRequest tile) {
    traced_ = true;
    const std::string file = fmt::format("{}.image{}.head{}.tile{}_{}.fst", tile.tap, tile.image,
                                         tile.head, tile.tile_row, tile.tile_col);
    std::filesystem::create_directories(settings_.rtl->wave_directory);
    tile.fst = settings_.rtl->wave_directory / file;
    cosim::RtlOptions options = rtl_options_;
    options.trace = tile;
    cosim::RtlBackend backend(options);
    TensorMap inputs;
    std::optional<FloatTaps> floats;
    if (floats_ != nullptr) floats.emplace(*floats_, tile.image, float_names_);
    for (const std::string& name : program_.inputs) {
      inputs.emplace(name, InputOf(name, tile.image, floats ? &*floats : nullptr, nullptr));
    }
    ExecuteForOutputs(program_, inputs, tile.image, backend);
    return (settings_.rtl->reported_wave_directory / file).string();
  }

  void Finish() {
    RunReport& report = report_;
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
    if (profiler_) report.profile = FinishProfile();
    report.taps = std::move(taps_);
    report.images = settings_.images;
    report.hardware = bundle_.hardware;
    report.provenance = bundle_.provenance;
    report.notes = bundle_.notes;
    report.kernels = golden_.Report();
    report.rtl = settings_.rtl.has_value();
    if (settings_.rtl && settings_.rtl->stall_probability > 0)
      report.stall_seed = settings_.rtl->stall_seed;
    for (const AccumulatorProof& proof : ProveAccumulators(program_)) {
      report.accumulators.push_back({proof, stats_.accumulators[proof.tap]});
    }
    AddCycles(report);
  }

  RunProfile FinishProfile() {
    const auto measured = [this](const std::string& name) -> const TensorMetrics* {
      const auto found = metrics_.find(name);
      return found == metrics_.end() ? nullptr : &found->second.golden;
    };
    return profiler_->Finish(measured, stats_.saturated, settings_.images);
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
  ChosenBackend golden_;
  cosim::RtlOptions rtl_options_;
  std::vector<std::unique_ptr<cosim::RtlBackend>> backends_;  // one per worker

  std::optional<MixedExecutor> mixed_;  // absent without float reference
  std::optional<RunProfiler> profiler_;
  std::vector<std::vector<std::string>> last_reads_;  // by operation
  std::set<std::string> float_names_;                 // that the program's tensors stand for

  RunReport report_;
  std::vector<TapReport> taps_;
  std::map<std::string, TapMetrics> metrics_;
  RunStats stats_;
  std::optional<std::int64_t> failed_image_;
  bool traced_ = false;
};

}  // namespace

RunReport RunImages(const Bundle& bundle, const FloatSource* floats, const RunSettings& settings) {
  return Runner(bundle, floats, settings).Run();
}

void AddBundleInputs(Bundle& bundle, const network::Network& model, const ModelInputs& inputs,
                     std::int64_t images, int threads) {
  const FloatSource floats = {model, inputs};
  const std::vector<std::string>& names = bundle.program.inputs;
  const std::set<std::string> wanted(names.begin(), names.end());
  for (const std::string& name : names) {
    const TensorInfo& info = bundle.program.Tensor(name);
    Shape shape = info.shape;
    shape.insert(shape.begin(), images);
    bundle.inputs.insert_or_assign(name, IntTensor(info.dtype, std::move(shape)));
  }
  ParallelFor(images, threads, [&](std::int64_t image, int) {
    FloatTaps taps(floats, image, wanted);
    for (const std::string& name : names) {
      const IntTensor value = ProgramInput(bundle, floats, image, name, taps);
      std::visit(
          [&](auto& stacked) {
            const auto& values = std::get<std::decay_t<decltype(stacked)>>(value.storage());
            std::copy(values.begin(), values.end(), stacked.begin() + image * value.size());
          },
          bundle.inputs.at(name).storage());
    }
  });
}

}  // namespace qsim::run
