#include "sim/diagnose/budget.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <utility>

#include "sim/diagnose/steps.h"

namespace qsim::diagnose {
namespace {

// A cause of loss, and what is exact about a node without it.
struct LossCause {
  std::string text;
  std::function<void(std::size_t node, Exactness& e)> replace;
  bool approximation = false, clipping = false;

  void Replace(Modes& modes) const {
    for (std::size_t n = 0; n < modes.size(); ++n) replace(n, modes[n]);
  }
};

std::vector<LossCause> CausesOf(const MixedExecutor& network) {
  const auto rounding = [&network](bool stream) {
    return [&network, stream](std::size_t n, Exactness& e) {
      e.unrounded = e.unrounded || network.model().NodeOf(network.NameOf(n))->stream == stream;
    };
  };
  std::vector<LossCause> causes = {
      {"integer weights", [](std::size_t, Exactness& e) { e.weights = true; }},
      {"rounding of activations", rounding(false)},
      {"clipping", [](std::size_t, Exactness& e) { e.unclipped = e.unbounded = true; }, false,
       true}};
  // In the order of the list of operations.
  std::map<std::size_t, std::string_view> approximations;
  for (std::size_t n = 0; n < network.nodes(); ++n) {
    if (network.HasFunction(n))
      approximations.emplace(network.OpOf(n)->index(), Describe(*network.OpOf(n)).in_words);
  }
  for (const auto& [kind, words] : approximations) {
    causes.push_back({fmt::format("{} approximation", words),
                      [&network, kind = kind](std::size_t n, Exactness& e) {
                        const Op* op = network.OpOf(n);
                        e.function = e.function || (op != nullptr && op->index() == kind);
                      },
                      true});
  }
  causes.push_back({"scales as multipliers", [](std::size_t, Exactness& e) { e.ratio = true; }});
  causes.push_back({"residual stream's width", rounding(true)});
  return causes;
}

// One image: the integer network, then after each replacement in order, each replaced first, and
// each left for last.
struct Outputs {
  OutputPower total;
  std::vector<OutputPower> after, first, only;
  void Merge(const Outputs& later) {
    total.Merge(later.total);
    for (std::size_t c = 0; c < after.size(); ++c) {
      after[c].Merge(later.after[c]);
      first[c].Merge(later.first[c]);
      only[c].Merge(later.only[c]);
    }
  }
};

// Each experiment is one network.
enum Experiment : std::int64_t { kInOrder, kFirst, kOnly, kExperiments };

Modes ModesOf(const MixedExecutor& network, const std::vector<LossCause>& causes, std::size_t cause,
              Experiment experiment) {
  Modes modes = network.AllOf(Exactness::Golden());
  for (std::size_t c = 0; c < causes.size(); ++c) {
    const bool replaced = experiment == kInOrder ? c <= cause
                          : experiment == kFirst ? c == cause
                                                 : c != cause;
    if (replaced) causes[c].Replace(modes);
  }
  return modes;
}

}  // namespace

LossBudget MeasureBudget(const BaseRuns& runs, const ModelInputs& inputs, int threads) {
  const MixedExecutor& network = runs.network();
  const OutputMeter meter(network, inputs);
  const std::vector<LossCause> causes = CausesOf(network);
  const Modes none = network.AllOf(Exactness::Golden());
  const std::vector<OutputPower> zeros(causes.size(), meter.Zero());
  std::vector<Outputs> images(static_cast<std::size_t>(runs.images()),
                              {meter.Zero(), zeros, zeros, zeros});
  const auto count = static_cast<std::int64_t>(causes.size());
  // The first one in order is the one that is replaced first; the last one alone is what the others
  // leave in order.
  const auto is_known = [&](std::size_t cause, std::int64_t experiment) {
    return (experiment == kFirst && cause == 0) ||
           (experiment == kOnly && cause > 0 && cause + 1 == causes.size());
  };
  runs.ForEach(count * kExperiments + 1, threads,
               [&](std::int64_t i, const BaseRun& run, std::int64_t task) {
                 Outputs& out = images[static_cast<std::size_t>(i)];
                 if (task == count * kExperiments) {
                   out.total = meter.Of(i, run.exact, run.golden, run.golden);
                   return;
                 }
                 const auto cause = static_cast<std::size_t>(task / kExperiments);
                 const auto experiment = static_cast<Experiment>(task % kExperiments);
                 if (is_known(cause, experiment)) return;
                 const Modes modes = ModesOf(network, causes, cause, experiment);
                 OutputPower& result = experiment == kInOrder ? out.after[cause]
                                       : experiment == kFirst ? out.first[cause]
                                                              : out.only[cause];
                 const MixedState state = network.Change(run.start, run.golden, none, modes);
                 result = meter.Of(i, run.exact, state, run.golden);
               });
  for (Outputs& image : images) {
    image.first.front() = image.after.front();
    if (causes.size() > 1) image.only.back() = image.after[causes.size() - 2];
  }
  Outputs all = std::move(images[0]);
  for (std::size_t i = 1; i < images.size(); ++i) all.Merge(images[i]);
  LossBudget budget;
  budget.total = all.total;
  budget.remainder = all.total.Ratio();
  for (std::size_t c = 0; c < causes.size(); ++c) {
    const double after = all.after[c].Ratio();
    budget.entries.push_back({causes[c].text, budget.remainder - after,
                              all.total.Ratio() - all.first[c].Ratio(),
                              all.only[c].Ratio() - all.after.back().Ratio(), all.after[c],
                              causes[c].approximation, causes[c].clipping});
    budget.remainder = after;
  }
  return budget;
}

}  // namespace qsim::diagnose
