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
#include "golden/program/queries.h"
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

// Where the RTL differs: all of an input counted, and the first element.
struct Difference {
  TapMismatch mismatch;  // its first element in the piece
  std::size_t piece = 0;
  std::int64_t first = 0;  // element of the whole input's tensor
};

// What is kept of one image until it is merged in order.
struct ImageResult {
  RunStats stats;
  std::map<std::string, TapMetrics> metrics;
  std::map<std::string, Difference> differences;
  std::map<std::string, std::int64_t> elements;  // that a clamp could have changed
  RunProfiler::Image profile;
};

// What runs now.
struct Place {
  std::int64_t image = 0;
  int worker = 0;
  std::size_t index = 0;  // of the piece
  Piece piece;
};

// The executors of one image, side by side, and the float reference of a piece of it.
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
  // What a program carries to its next piece, of the real numbers.
  void Advance(const Program& program) {
    ForEach([](Execution& execution) { execution.Advance(); });
    for (MixedState* state : {&ideal, &dequantized}) {
      MixedState next;
      for (const Carried& carried : program.carried) {
        const auto found = state->find(carried.output);
        if (found != state->end()) next[carried.input] = found->second;
      }
      *state = std::move(next);
    }
    undivided.clear();
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
      rtl_options_.check_every_tile = settings_.rtl->check_every_tile;
      // Threads that no image needs share the tiles of the products.
      const int workers = static_cast<int>(
          std::min<std::int64_t>(settings_.threads, std::min(settings_.images, settings_.batch)));
      rtl_options_.threads = settings_.threads / workers;
      for (int i = 0; i < workers; ++i) {
        backends_.push_back(std::make_unique<cosim::RtlBackend>(rtl_options_));
      }
    }
    if (floats_ != nullptr) mixed_.emplace(bundle_, floats_->model, floats_->inputs);
    if (settings_.profile) {
      profiler_.emplace(bundle_, mixed_ ? &*mixed_ : nullptr, *settings_.profile,
                        settings_.threads);
    }
    if (program_.MaxLength() > 0) {
      for (std::int64_t image = 0; image < settings.images; ++image) {
        lengths_.push_back(floats_ != nullptr ? LengthOf(floats_->inputs, image)
                                              : LengthOf(bundle_, image));
        Pieces(image);  // refuses what the program cannot take
      }
      longest_ = *std::max_element(lengths_.begin(), lengths_.end());
    }
    for (const TensorInfo& info : program_.tensors) {
      if (IsPast(program_, info.name)) continue;
      if (const network::Node* node = NodeOf(info.name)) float_names_.insert(node->name);
      TapReport tap;
      tap.name = info.name;
      tap.shape = AtLength(info, longest_).shape;
      tap.shape.insert(tap.shape.begin(), settings.images);
      tap.dtype = std::string(Name(info.dtype));
      taps_.push_back(std::move(tap));
    }
    for (const Op& op : program_.ops) {
      if (AccumulatorOf(op) != nullptr) sums_.insert(OutputOf(op));
    }
  }

  RunReport Run() {
    if (settings_.started) settings_.started();
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

  std::vector<Piece> Pieces(std::int64_t image) const {
    return PiecesOf(program_, lengths_.empty() ? 0 : lengths_[static_cast<std::size_t>(image)],
                    settings_.chunk);
  }

  ImageResult RunImage(std::int64_t image, int worker) {
    ImageResult r;
    Execution golden(program_, image, *golden_, &r.stats, {.track_accumulators = true});
    Executors e;
    e.golden = &golden;
    std::optional<Execution> rtl;
    if (settings_.rtl) {
      e.rtl = &rtl.emplace(program_, image, *backends_[static_cast<std::size_t>(worker)]);
    }
    if (mixed_) BeginStates(e);
    FloatRun::State carried;
    const std::vector<Piece> pieces = Pieces(image);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      std::optional<FloatTaps> floats;
      if (floats_ != nullptr)
        e.floats = &floats.emplace(*floats_, image, float_names_, pieces[i], std::move(carried));
      Walk({image, worker, i, pieces[i]}, e, r);
      if (pieces[i].last) break;
      if (floats) carried = floats->Carried();
      e.Advance(program_);
    }
    return r;
  }

  void BeginStates(Executors& e) const {
    for (const Carried& carried : program_.carried) {
      const IntTensor& initial = program_.Constant(carried.initial);
      const Grid grid = bundle_.GridOf(carried.input);
      e.ideal[carried.input] = std::make_shared<MixedTensor>(initial, grid);
      e.dequantized[carried.input] = std::make_shared<MixedTensor>(
          FloatTensor{initial.shape(), grid.DequantizeToFloat(initial)});
    }
  }

  void Walk(const Place& at, Executors& e, ImageResult& r) {
    std::vector<std::string> waiting = program_.inputs;
    const auto supply = [&](const std::string& name) {
      const IntTensor value = InputOf(name, at.image, at.piece, e.floats, &r.stats);
      e.ForEach([&](Execution& execution) { execution.Supply(name, value); });
      if (mixed_) e.ideal[name] = std::make_shared<MixedTensor>(value, bundle_.GridOf(name));
      Look(name, at, e, r);
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
      Look(output, at, e, r);
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

  IntTensor InputOf(const std::string& name, std::int64_t image, const Piece& piece,
                    FloatTaps* floats, RunStats* stats) const {
    if (floats == nullptr) return BundleInput(bundle_, name, image, piece);
    return ProgramInput(bundle_, *floats_, image, name, *floats,
                        stats == nullptr ? nullptr : &stats->saturated[name], piece);
  }

  // Where a tensor of this piece lies in the whole one.
  TensorPlace PlaceOf(const TensorInfo& info, const Place& at) const {
    TensorPlace place{at.image, 0, AtLength(info, longest_).shape};
    if (info.length_axes == Shape{0})
      place.element = at.piece.first * (ElementCount(info.shape) / info.shape[0]);
    if (!info.length_axes.empty() && info.length_axes != Shape{0} && at.piece.length != longest_ &&
        settings_.sink != nullptr) {
      throw InputError(
          fmt::format("'{}' cannot be kept in one file for inputs of {} and {} "
                      "tokens: give inputs of one length, or --taps none",
                      info.name, at.piece.length, longest_));
    }
    return place;
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
  void Look(const std::string& name, const Place& at, Executors& e, ImageResult& r) {
    const IntTensor& golden = e.golden->values().at(name);
    const TensorInfo& info = program_.Tensor(name);
    const bool state = IsState(program_, info);
    if (sums_.contains(name)) CountClampedSums(info, golden, r);
    // A state is clamped with every token.
    r.elements[name] += golden.size() * (state ? at.piece.length : 1);
    const TensorPlace place = PlaceOf(info, at);
    TensorSink* const sink = state && !at.piece.last ? nullptr : settings_.sink;
    if (sink != nullptr) sink->Take("golden", name, place, golden);
    if (e.rtl != nullptr) {
      const IntTensor& rtl = e.rtl->values().at(name);
      Note(CompareTensors(golden, rtl), at, place.element, r.differences[name]);
      if (sink != nullptr) sink->Take("rtl", name, place, rtl);
    }
    if (!mixed_ && !profiler_) return;
    if (state && !at.piece.last) return Dequantize(name, golden, e);
    const FloatTensor* exact = FloatOf(name, e);
    const std::vector<double> quantized = bundle_.GridOf(name).Dequantize(golden);
    if (profiler_) {
      profiler_->Take(at.worker, at.image, r.profile, name, golden, quantized,
                      exact == nullptr ? std::span<const float>() : exact->data);
    }
    if (!mixed_) return;
    e.dequantized[name] = std::make_shared<MixedTensor>(
        FloatTensor{golden.shape(), {quantized.begin(), quantized.end()}});
    if (exact == nullptr) return;
    if (sink != nullptr && NodeOf(name)->name == name) sink->Take("float", name, place, *exact);
    TapMetrics& metrics = r.metrics[name];
    metrics.golden.Add(exact->data, quantized);
    metrics.ideal.Add(exact->data, e.ideal.at(name)->Doubles());
    const std::size_t node = mixed_->NodeOf(name);
    if (mixed_->OpOf(node) == nullptr) return;
    const auto step = mixed_->Compute(node, Exactness::All(), e.dequantized);
    metrics.step.Add(step->real().data, quantized);
  }

  // What the next operations' steps alone start from.
  void Dequantize(const std::string& name, const IntTensor& golden, Executors& e) const {
    if (!mixed_) return;
    e.dequantized[name] = std::make_shared<MixedTensor>(
        FloatTensor{golden.shape(), bundle_.GridOf(name).DequantizeToFloat(golden)});
  }

  static void Note(const TapMismatch& mismatch, const Place& at, std::int64_t element,
                   Difference& difference) {
    if (mismatch.count == 0) return;
    const std::int64_t before = difference.mismatch.count;
    if (before == 0) difference = {mismatch, at.index, element + mismatch.first};
    difference.mismatch.count = before + mismatch.count;
  }

  // A saturating accumulator reports itself by resting on a limit.
  static void CountClampedSums(const TensorInfo& info, const IntTensor& tensor, ImageResult& r) {
    std::int64_t& count = r.stats.saturated[info.name];
    for (const std::int32_t v : tensor.As<std::int32_t>()) {
      if (v == info.range.qmin || v == info.range.qmax) ++count;
    }
  }

  void Merge(std::int64_t image, ImageResult& r) {
    stats_.Merge(r.stats);
    if (profiler_) profiler_->Merge(r.profile);
    for (const auto& [name, metrics] : r.metrics) metrics_[name].Merge(metrics);
    for (const auto& [name, elements] : r.elements) elements_[name] += elements;
    bool failed = false;
    for (TapReport& tap : taps_) {
      const auto found = r.differences.find(tap.name);
      if (settings_.rtl) tap.mismatches = tap.mismatches.value_or(0);
      if (found == r.differences.end() || found->second.mismatch.count == 0) continue;
      failed = true;
      if (*tap.mismatches == 0) tap.first_mismatch = MismatchOf(tap.name, image, found->second);
      *tap.mismatches += found->second.mismatch.count;
    }
    if (failed && !failed_image_) failed_image_ = image;
  }

  FirstMismatch MismatchOf(const std::string& tap, std::int64_t image,
                           const Difference& difference) {
    const std::vector<Piece> pieces = Pieces(image);
    const TensorInfo& info = program_.Tensor(tap);
    FirstMismatch m;
    m.index =
        IndexOf(difference.first, AtLength(info, pieces.back().first + pieces.back().length).shape);
    m.index.insert(m.index.begin(), image);
    m.expected = difference.mismatch.expected;
    m.actual = difference.mismatch.actual;
    const cosim::TraceRequest tile =
        LocateTile(program_, AtLength(info, pieces[difference.piece].length), image,
                   difference.mismatch.first, rtl_options_.array);
    m.tile = Describe(tile);
    // The first tensor of the first failing image is the culprit; what follows it has wrong inputs.
    if (!failed_image_ && !traced_) m.waveform = Trace(tile, difference.piece);
    return m;
  }

  // Runs the failing image once more up to the failing piece, recording the tile. The pieces before
  // it were equal.
  std::string Trace(cosim::TraceRequest tile, std::size_t failing) {
    traced_ = true;
    const std::string file = fmt::format("{}.image{}.head{}.tile{}_{}.fst", tile.tap, tile.image,
                                         tile.head, tile.tile_row, tile.tile_col);
    std::filesystem::create_directories(settings_.rtl->wave_directory);
    tile.fst = settings_.rtl->wave_directory / file;
    cosim::RtlOptions options = rtl_options_;
    options.trace = tile;
    cosim::RtlBackend backend(options);
    Execution golden(program_, tile.image, *golden_);
    Execution traced(program_, tile.image, backend);
    const std::vector<Piece> pieces = Pieces(tile.image);
    FloatRun::State carried;
    for (std::size_t i = 0; i <= failing; ++i) {
      Execution& execution = i == failing ? traced : golden;
      std::optional<FloatTaps> floats;
      if (floats_ != nullptr)
        floats.emplace(*floats_, tile.image, float_names_, pieces[i], std::move(carried));
      for (const std::string& name : program_.inputs) {
        execution.Supply(
            name, InputOf(name, tile.image, pieces[i], floats ? &*floats : nullptr, nullptr));
      }
      for (std::size_t op = 0; op < program_.ops.size(); ++op) {
        execution.Step(op);
        for (const std::string& name : last_reads_[op]) execution.Drop(name);
      }
      if (i == failing) break;
      if (floats) carried = floats->Carried();
      golden.Advance();
      for (const Carried& state : program_.carried)
        traced.Supply(state.input, golden.values().at(state.input));
    }
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
                            static_cast<double>(std::max<std::int64_t>(1, elements_[tap.name]));
    }
    if (profiler_) report.profile = FinishProfile();
    report.taps = std::move(taps_);
    report.images = settings_.images;
    report.lengths = lengths_;
    report.hardware = bundle_.hardware;
    report.provenance = bundle_.provenance;
    report.notes = bundle_.notes;
    report.kernels = golden_.Report();
    report.rtl = settings_.rtl.has_value();
    report.rtl_checks_every_tile = settings_.rtl && settings_.rtl->check_every_tile;
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
    return profiler_->Finish(measured, stats_.saturated, settings_.images, longest_);
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
  std::set<std::string> sums_;                        // accumulators
  std::vector<std::int64_t> lengths_;                 // of each input; empty: no run-time length
  std::int64_t longest_ = 0;

  RunReport report_;
  std::vector<TapReport> taps_;
  std::map<std::string, TapMetrics> metrics_;
  std::map<std::string, std::int64_t> elements_;
  RunStats stats_;
  std::optional<std::int64_t> failed_image_;
  bool traced_ = false;
};

}  // namespace

RunReport RunImages(const Bundle& bundle, const FloatSource* floats, const RunSettings& settings) {
  return Runner(bundle, floats, settings).Run();
}

}  // namespace qsim::run
