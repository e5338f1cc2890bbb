#include "sim/diagnose/costs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/base_runs.h"
#include "sim/diagnose/causes/probe.h"
#include "sim/diagnose/causes/suspect.h"
#include "sim/diagnose/causes/weight_shares.h"
#include "sim/diagnose/structure.h"
#include "sim/error.h"
#include "sim/statistics/median.h"

namespace qsim::diagnose {
namespace {

constexpr int kMostCosts = 4;
constexpr int kMostKinds = 6;  // of one round whose repairs are tried
// What is worth a name, in dB at the output: more than whatever changes an integer network moves it
// by. Without a setting that helps it takes more.
constexpr double kGain = 2;
constexpr double kIrreparableGain = 3;
// Signs that bring a kind of tensor under suspicion.
constexpr double kMassLost = 0.01;
constexpr double kSavingDb = 3;        // by a scale for each channel, of the rounding noise
constexpr double kClippedNoise = 0.5;  // of all that the grid causes

// Settings that mend a cause; "{}" is the section.
struct Mend {
  Cause cause;
  const char* text;
  const char* setting;
};
constexpr Mend kMends[] = {
    {Cause::kSmallProbabilities, "divide by the row's sum behind the product with V",
     "numerics.softmax_division=after"},
    {Cause::kSmallProbabilities, "make the probabilities codes of powers of two",
     "numerics.softmax=log_int"},
    {Cause::kChannelOutliers, "give each channel a scale of its own",
     "{}.calibration_mode=channel_wise"},
    {Cause::kChannelOutliers, "give each head a scale of its own", "{}.calibration_mode=head_wise"},
    {Cause::kChannelOutliers, "move the differences into the weights that follow", "{}.smooth=0.5"},
    {Cause::kChannelOutliers, "give the few largest channels factors of their own",
     "{}.outlier_channels=0.01"},
    {Cause::kClipping, "observe the whole range", "{}.observer_type=MinmaxObserver"},
    {Cause::kClipping, "give it 16 bits", "{}.bit_type.bits=16"},
    {Cause::kClipping, "give it a zero point", "{}.bit_type.symmetric=False"},
    {Cause::kClipping, "take an exponential that has every score scale", "numerics.softmax=table"},
};

// The tensors that one section speaks of, in all blocks.
struct Kind {
  std::string key;
  bool softmax = false;
  std::vector<std::size_t> nodes;
  std::vector<TensorUse> uses;  // of each node
};

// The network at hand: as it was given, and after every setting that has helped.
struct Subject {
  std::optional<Config> config;
  std::unique_ptr<const Bundle> bundle;
  std::unique_ptr<const MixedExecutor> network;  // of the bundle
  std::unique_ptr<const BaseRuns> own_runs;
  const BaseRuns* runs = nullptr;
  double output_db = 0;
};

// The rounding noise with a scale for each channel beside that with one, both from these extremes.
double ShareByChannel(const TensorUse& use) {
  double squares = 0;
  for (std::size_t c = 0; c < use.channel_min.size(); ++c)
    squares += std::pow(use.channel_max[c] - use.channel_min[c], 2);
  const double all = use.Max() - use.Min();
  return squares / static_cast<double>(use.channel_min.size()) / (all * all);
}

// The widest channel beside the typical one.
double Spread(const TensorUse& use) {
  std::vector<double> extents;
  for (std::size_t c = 0; c < use.channel_max.size(); ++c)
    extents.push_back(std::max(-use.channel_min[c], use.channel_max[c]));
  const double typical = Median(extents);
  return typical > 0 ? *std::max_element(extents.begin(), extents.end()) / typical : 0;
}

// What a grid costs, and nothing that a function's approximation does; a softmax has its grid of
// its algorithm.
constexpr Exactness kOffGrid = {.unrounded = true, .unclipped = true};

class Search {
 public:
  Search(const DiagnosisSubject& subject, const DiagnoseOptions& options)
      : subject_(subject), options_(options) {
    if (subject.config != nullptr) now_.config = *subject.config;
    now_.runs = subject.runs;
    now_.output_db = OutputDb(subject.runs->network());
  }

  std::vector<Cost> Run() {
    std::vector<Cost> costs;
    for (int round = 0; round < kMostCosts; ++round) {
      std::optional<Cost> irreparable;
      std::optional<Subject> mended;
      Cost best;
      for (Cost& cost : Candidates()) {
        std::optional<Subject> after = Try(cost);
        if (after && (!mended || after->output_db > mended->output_db)) {
          mended = std::move(after);
          best = std::move(cost);
        } else if (!after && !irreparable && cost.exact - cost.before >= kIrreparableGain) {
          irreparable = std::move(cost);
        }
      }
      if (!mended) {
        if (irreparable) costs.push_back(std::move(*irreparable));
        break;
      }
      costs.push_back(std::move(best));
      now_ = std::move(*mended);
      now_.own_runs =
          std::make_unique<const BaseRuns>(*now_.network, subject_.inputs.count(), subject_.runs);
      now_.runs = now_.own_runs.get();
    }
    return costs;
  }

 private:
  double OutputDb(const MixedExecutor& network) const {
    return Finite(MeasureOutput(network, *subject_.runs, subject_.inputs, options_.threads).Db());
  }

  // ---- what is suspicious ----

  std::vector<Kind> Kinds() const {
    const MixedExecutor& network = now_.runs->network();
    const Bundle& bundle = network.bundle();
    std::vector<Kind> kinds;
    for (std::size_t n = 0; n < network.nodes(); ++n) {
      const std::string& name = network.NameOf(n);
      const network::Node& node = *network.model().NodeOf(name);
      const bool softmax = std::holds_alternative<network::Softmax>(node.function);
      const network::SectionKey* key = SectionOf(network.model(), name);
      if (softmax && node.section) key = &*node.section;
      // Exponentials that are divided later fill their codes in every row.
      if (key == nullptr || network.OpOf(n) == nullptr || network.Undivided(name) ||
          bundle.scales.at(name).kind != TensorScale::Kind::kLinear ||
          bundle.program.Tensor(name).dtype == DType::kInt32) {
        continue;
      }
      auto kind = std::find_if(kinds.begin(), kinds.end(),
                               [&](const Kind& k) { return k.key == key->key; });
      if (kind == kinds.end()) kind = kinds.insert(kinds.end(), Kind{key->key, softmax, {}, {}});
      kind->nodes.push_back(n);
      kind->uses.emplace_back();
    }
    for (std::int64_t image = 0; image < now_.runs->images(); ++image) {
      const MixedState exact = now_.runs->Exact(image);
      for (Kind& kind : kinds) {
        for (std::size_t i = 0; i < kind.nodes.size(); ++i) {
          const std::string& name = network.NameOf(kind.nodes[i]);
          Merge(UseOf(exact.at(name)->real(), bundle.GridOf(name)), kind.uses[i]);
        }
      }
    }
    return kinds;
  }

  // A suspicion of a kind, without what the output says of it.
  Cost Suspect(const Kind& kind, Cause cause,
               const std::function<double(const TensorUse&)>& measure) const {
    std::vector<double> of_each;
    for (const TensorUse& use : kind.uses) of_each.push_back(measure(use));
    const auto worst = std::max_element(of_each.begin(), of_each.end());
    Cost cost;
    cost.cause = cause;
    cost.kind = kind.key;
    cost.tensors = kind.nodes.size();
    cost.worst =
        now_.runs->network().NameOf(kind.nodes[static_cast<std::size_t>(worst - of_each.begin())]);
    return cost;
  }

  std::vector<Cost> SuspicionsOf(const Kind& kind) const {
    const MixedExecutor& network = now_.runs->network();
    double mass = 0, lost = 0, clipped = 0, rounded = 0, by_channel = 0, beyond = 0, count = 0;
    bool one_scale = true;
    for (std::size_t i = 0; i < kind.uses.size(); ++i) {
      const TensorUse& use = kind.uses[i];
      mass += use.mass;
      lost += use.lost;
      clipped += use.clipped;
      rounded += use.rounded;
      beyond += static_cast<double>(use.high + use.low);
      count += static_cast<double>(use.count);
      by_channel += use.rounded * ShareByChannel(use);
      const TensorScale& scale = network.bundle().scales.at(network.NameOf(kind.nodes[i]));
      one_scale = one_scale && scale.scale.size() == 1;
    }
    std::vector<Cost> found;
    const auto worst_db = [](const TensorUse& use) { return -use.QsnrDb(); };
    if (kind.softmax) {
      if (lost < kMassLost * mass) return found;
      const auto share = [](const TensorUse& use) { return use.lost / use.mass; };
      Cost cost = Suspect(kind, Cause::kSmallProbabilities, share);
      const double step = network.bundle().scales.at(cost.worst).scale[0];
      const Shape& shape = network.bundle().program.Tensor(cost.worst).shape;
      cost.text = fmt::format(
          "probabilities below half a step become 0: {:.0f} % of their mass is lost; in a row of "
          "{} a step is {:.3g} times the mean",
          100 * lost / mass, shape.back(), step * static_cast<double>(shape.back()));
      double most = 0;
      for (const TensorUse& use : kind.uses) most = std::max(most, share(use));
      cost.evidence = {{"mass lost", 100 * lost / mass, "%"},
                       {fmt::format("most in {}", cost.worst), 100 * most, "%"},
                       {"step", step, ""}};
      found.push_back(std::move(cost));
      return found;
    }
    if (clipped >= kClippedNoise * (clipped + rounded) && clipped > 0) {
      Cost cost = Suspect(kind, Cause::kClipping, worst_db);
      cost.text = fmt::format("{:.2g} % of the values are clipped: {:.0f} % of what the grid loses",
                              100 * beyond / count, 100 * clipped / (clipped + rounded));
      cost.evidence = {{"clipped", 100 * beyond / count, "%"},
                       {"of the noise", 100 * clipped / (clipped + rounded), "%"}};
      found.push_back(std::move(cost));
    }
    const double saving = Db(rounded, by_channel);
    if (one_scale && rounded > 0 && saving >= kSavingDb) {
      Cost cost = Suspect(kind, Cause::kChannelOutliers, Spread);
      double spread = 0;
      for (const TensorUse& use : kind.uses) spread = std::max(spread, Spread(use));
      cost.text = fmt::format(
          "one scale serves channels of different size: with one for each there would be {:.0f} dB "
          "less rounding noise",
          saving);
      cost.evidence = {
          {fmt::format("largest channel beside the typical one in {}", cost.worst), spread, "x"},
          {"rounding noise to save", saving, "dB"}};
      found.push_back(std::move(cost));
    }
    return found;
  }

  // The suspicions whose tensors the output hears, those first that it hears most.
  std::vector<Cost> Candidates() const {
    struct Suspicious {
      std::vector<std::size_t> nodes;
      bool softmax;
      std::vector<Cost> costs;
    };
    std::vector<Suspicious> kinds;
    for (const Kind& kind : Kinds()) {
      std::vector<Cost> costs = SuspicionsOf(kind);
      if (!costs.empty()) kinds.push_back({kind.nodes, kind.softmax, std::move(costs)});
    }
    const MixedExecutor& network = now_.runs->network();
    const OutputMeter meter(network, subject_.inputs);
    const Modes golden = network.AllOf(Exactness::Golden());
    const auto images = static_cast<std::size_t>(now_.runs->images());
    std::vector<std::vector<OutputPower>> powers(kinds.size(), std::vector<OutputPower>(images));
    now_.runs->ForEach(static_cast<std::int64_t>(kinds.size()), options_.threads,
                       [&](std::int64_t image, const BaseRun& run, std::int64_t k) {
                         const auto at = static_cast<std::size_t>(k);
                         Modes modes = golden;
                         const Exactness mode = kinds[at].softmax ? Exactness::All() : kOffGrid;
                         for (const std::size_t n : kinds[at].nodes) modes[n] = mode;
                         const MixedState state =
                             network.Change(run.start, run.golden, golden, modes);
                         powers[at][static_cast<std::size_t>(image)] =
                             meter.Of(image, run.exact, state, run.golden);
                       });
    std::vector<Cost> candidates;
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      OutputPower all = meter.Zero();
      for (const OutputPower& power : powers[k]) all.Merge(power);
      for (Cost& cost : kinds[k].costs) {
        cost.before = now_.output_db;
        cost.exact = Finite(all.Db());
        if (cost.exact - cost.before >= kGain) candidates.push_back(std::move(cost));
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Cost& a, const Cost& b) { return a.exact > b.exact; });
    if (candidates.size() > kMostKinds) candidates.resize(kMostKinds);
    return candidates;
  }

  // ---- what mends it ----

  // The network after the setting that gains most; nullopt where none gains enough.
  std::optional<Subject> Try(Cost& cost) const {
    std::optional<Subject> best;
    if (!now_.config || !options_.calibrate) return best;
    for (const Mend& mend : kMends) {
      if (mend.cause != cost.cause) continue;
      const std::string setting = fmt::format(fmt::runtime(mend.setting), cost.kind);
      Subject after;
      after.config = WithSettings(*now_.config, {setting});
      if (!after.config) continue;
      try {
        after.bundle = std::make_unique<const Bundle>(options_.calibrate(*after.config));
      } catch (const ReadError&) {
        throw;
      } catch (const InputError&) {
        continue;  // not what integers can do
      }
      after.network =
          std::make_unique<const MixedExecutor>(*after.bundle, subject_.model, subject_.inputs);
      after.output_db = OutputDb(*after.network);
      if (after.output_db - cost.before < kGain) continue;
      cost.trials.push_back({mend.text, {setting}, cost.before, after.output_db, 0, 0});
      if (!best || after.output_db > best->output_db) best = std::move(after);
    }
    std::stable_sort(
        cost.trials.begin(), cost.trials.end(),
        [](const RepairTrial& a, const RepairTrial& b) { return a.output_after > b.output_after; });
    return best;
  }

  const DiagnosisSubject& subject_;
  const DiagnoseOptions& options_;
  Subject now_;
};

}  // namespace

std::vector<Cost> FindCosts(const DiagnosisSubject& subject, const DiagnoseOptions& options) {
  return Search(subject, options).Run();
}

}  // namespace qsim::diagnose
