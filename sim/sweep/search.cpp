#include "sim/sweep/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "golden/kernels/fast_backend.h"
#include "golden/program/executor.h"
#include "sim/calibrate/recalibration.h"
#include "sim/error.h"
#include "sim/parallel.h"
#include "sim/run/float_taps.h"
#include "sim/statistics/signal_to_noise.h"
#include "sim/sweep/sweep.h"
#include "sim/text/progress.h"

namespace qsim::sweep {
namespace {

// dB, of the blocks' mean and of a block that takes a change. Less, on the few inputs that judge, is
// chance: such gains do not carry over to others.
constexpr double kLeastGain = 0.1;
constexpr double kLeastOfBlock = 0.2;

Power PowerOf(const std::vector<float>& reference, const std::vector<double>& value,
              std::size_t begin, std::size_t count) {
  Power power;
  for (std::size_t i = begin; i < begin + count; ++i) {
    const double x = static_cast<double>(reference[i]);
    power.Add(x, x - value[i]);
  }
  return power;
}

// Noise of the rows, each relative to its own signal, as the norm behind them sees it; the first
// row, which in most networks is the class token, counts as much as all others together.
double RelativeNoise(const std::vector<float>& reference, const std::vector<double>& value,
                     std::size_t width) {
  double first = 0;
  double sum = 0;
  const std::size_t rows = value.size() / width;
  for (std::size_t row = 0; row < rows; ++row) {
    const Power power = PowerOf(reference, value, row * width, width);
    const double relative = power.signal == 0 && power.noise != 0 ? 1 : power.Ratio();
    sum += relative;
    if (row == 0) first = relative;
  }
  return (first + sum / static_cast<double>(rows)) / 2;
}

// Runs configurations on a few inputs. The float network runs once, for what all of them need.
class Bench {
 public:
  Bench(const SearchSubject& subject, const Config& base, const std::vector<SearchMove>& moves)
      : subject_(subject), calibrations_(subject.model, subject.calibration, subject.calibrate) {
    Expect(base);
    ExpectAny(base, moves);
    const std::set<std::string> wanted = [&] {
      std::set<std::string> names;
      for (const network::Node& node : subject.model.nodes()) {
        const bool entry = std::holds_alternative<network::Entry>(node.function) ||
                           std::holds_alternative<network::Activations>(node.function) ||
                           std::holds_alternative<network::Positions>(node.function);
        if (entry || node.stream) names.insert(node.name);
      }
      names.insert(subject.model.nodes().back().name);
      return names;
    }();
    floats_.resize(static_cast<std::size_t>(subject.images.count()));
    ParallelFor(subject.images.count(), subject.calibrate.threads, [&](std::int64_t image, int) {
      FloatTaps taps({subject.model, subject.images}, image, wanted);
      for (const network::Node& node : subject.model.nodes()) {
        if (!wanted.contains(node.name)) continue;
        if (const FloatTensor* value = taps.Find(&node))
          floats_[static_cast<std::size_t>(image)].emplace(node.name, *value);
      }
    });
  }

  // One pass over the inputs for whatever these changes may ask for.
  void ExpectAny(const Config& base, std::span<const SearchMove> moves) {
    for (const SearchMove& move : moves) {
      try {
        Expect(ConfigOf(base, move.settings));
      } catch (const ReadError&) {
        throw;
      } catch (const InputError&) {
        continue;  // said where the change is tried
      }
    }
  }

  // Own noise of each block in dB, by the tensor that ends it; of the rest of the network nothing.
  // Throws InputError for a configuration that cannot be lowered.
  std::map<std::string, double> Own(const Config& config) {
    return Measure(config, OwnScope(), false);
  }
  // Of the whole network: the first row of what ends it, all inputs together.
  double End(const Config& config) {
    double sum = 0;
    const auto ends = Measure(config, subject_.calibrate.scope, true);
    for (const auto& [name, db] : ends) sum += db;
    return sum / static_cast<double>(ends.size());
  }

 private:
  Scope OwnScope() const { return std::min(subject_.calibrate.scope, Scope::kBlock); }

  void Expect(const Config& config) {
    calibrations_.Expect(config);
    calibrations_.Expect(config, OwnScope());
  }

  std::map<std::string, double> Measure(const Config& config, Scope scope, bool first_rows) {
    const Bundle bundle = calibrations_.With(config, scope);
    const auto images = subject_.images.count();
    // By image, of each tensor that nothing reads.
    std::vector<std::map<std::string, Power>> powers(static_cast<std::size_t>(images));
    golden::FastBackend backend(bundle.program);
    // Every row of a language model is what it predicts.
    const bool tokens = std::holds_alternative<TokenInputs>(subject_.images.data);
    ParallelFor(images, subject_.calibrate.threads, [&](std::int64_t image, int) {
      const auto i = static_cast<std::size_t>(image);
      const TensorMap outputs =
          ExecuteForOutputs(bundle.program, Inputs(bundle, image), image, backend);
      for (const auto& [name, codes] : outputs) {
        if (IsState(bundle.program, bundle.program.Tensor(name))) continue;
        const FloatTensor& reference = floats_[i].at(subject_.model.NodeOf(name)->name);
        const std::vector<double> real = bundle.GridOf(name).Dequantize(codes);
        const auto width = static_cast<std::size_t>(reference.shape.back());
        powers[i][name] = first_rows && !tokens
                              ? PowerOf(reference.data, real, 0, width)
                              : Power{1, RelativeNoise(reference.data, real, width)};
      }
    });
    std::map<std::string, Power> all;
    for (const auto& of_image : powers) {
      for (const auto& [name, power] : of_image) all[name].Merge(power);
    }
    std::map<std::string, double> db;
    for (const auto& [name, power] : all) db[name] = Decibel(power.Ratio());
    return db;
  }

  TensorMap Inputs(const Bundle& bundle, std::int64_t image) const {
    TensorMap inputs;
    for (const std::string& name : bundle.program.inputs) {
      if (auto given = GivenInput(bundle, {subject_.model, subject_.images}, image, name)) {
        inputs.emplace(name, *std::move(given));
      } else {
        inputs.emplace(name, bundle.GridOf(name).Quantize(
                                 floats_[static_cast<std::size_t>(image)].at(name).data));
      }
    }
    return inputs;
  }

  SearchSubject subject_;
  Recalibration calibrations_;
  std::vector<std::map<std::string, FloatTensor>> floats_;  // by image
};

class Searcher {
 public:
  Searcher(const SearchSubject& subject, const Config& base, std::vector<SearchMove> moves)
      : subject_(subject), moves_(std::move(moves)), bench_(subject, base, moves_), result_{base} {
    result_.moves = moves_.size();
  }

  SearchResult Run(std::chrono::steady_clock::time_point deadline) {
    std::string refused;
    try {
      own_ = bench_.Own(result_.config);
      result_.start_db = bench_.End(result_.config);
    } catch (const ReadError&) {
      throw;
    } catch (const InputError& error) {
      refused = error.what();
      own_.clear();
    }
    Progress progress("changes", static_cast<std::int64_t>(moves_.size()));
    for (const SearchMove& move : moves_) {
      if (std::chrono::steady_clock::now() >= deadline) break;
      result_.steps.push_back(Try(move));
      progress.Show(static_cast<std::int64_t>(result_.steps.size()));
    }
    if (own_.empty()) throw InputError(refused);
    const auto last = std::find_if(result_.steps.rbegin(), result_.steps.rend(),
                                   [](const SearchStep& step) { return step.taken(); });
    result_.end_db = last != result_.steps.rend() ? last->end_db : *result_.start_db;
    return std::move(result_);
  }

 private:
  SearchStep Try(const SearchMove& move) {
    SearchStep step;
    step.change = move.name;
    try {
      const Config changed = ConfigOf(result_.config, move.settings);
      const std::map<std::string, double> own = bench_.Own(changed);
      // Without a base that can be lowered, whatever can be is better.
      if (own_.empty()) {
        Take(move.settings, changed, own, step);
        return step;
      }
      std::set<int> blocks;
      std::map<std::string, double> mixed = own_;
      double gains = 0;
      for (const auto& [output, db] : own) {
        const double gain = Gain(own_.at(output), db);
        gains += gain;
        if (gain <= kLeastOfBlock) continue;
        blocks.insert(subject_.model.NodeOf(output)->block);
        mixed[output] = db;
      }
      step.own_db = gains / static_cast<double>(own.size());
      const bool all = blocks.size() == own.size();
      if (move.everywhere || all) {
        if (step.own_db > kLeastGain) Take(move.settings, changed, own, step);
        return step;
      }
      double kept = 0;
      for (const auto& [output, db] : mixed) kept += Gain(own_.at(output), db);
      kept /= static_cast<double>(mixed.size());
      if (kept <= kLeastGain) return step;
      std::vector<std::string> settings;
      for (const int block : blocks) {
        for (const std::string& setting : move.settings)
          settings.push_back(fmt::format("blocks.{}.{}", block, setting));
      }
      step.own_db = kept;
      step.blocks = static_cast<int>(blocks.size());
      Take(settings, ConfigOf(result_.config, settings), mixed, step);
    } catch (const ReadError&) {
      throw;
    } catch (const InputError& error) {
      step.refused = error.what();
    }
    return step;
  }

  static double Gain(double before, double after) { return after == before ? 0 : after - before; }

  void Take(const std::vector<std::string>& settings, const Config& config,
            const std::map<std::string, double>& own, SearchStep& step) {
    step.end_db = bench_.End(config);  // throws before anything has changed
    step.settings = settings;
    result_.config = config;
    own_ = own;
    bench_.ExpectAny(config, std::span(moves_).subspan(result_.steps.size() + 1));
  }

  const SearchSubject& subject_;
  std::vector<SearchMove> moves_;
  Bench bench_;
  SearchResult result_;
  std::map<std::string, double> own_;  // by output; empty while the configuration is refused
};

}  // namespace

SearchResult Search(const SearchSubject& subject, const Config& base,
                    std::chrono::steady_clock::time_point deadline) {
  const Plan plan = Calibrator(subject.model, base, subject.calibrate).plan();
  return Searcher(subject, base, MovesFor(plan)).Run(deadline);
}

}  // namespace qsim::sweep
