#include "sim/diagnose/budget.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <utility>

#include "sim/diagnose/steps.h"
#include "sim/parallel.h"

namespace qsim::diagnose {
namespace {

// A cause of loss, and what is exact about a node without it.
struct LossCause {
  std::string text;
  std::function<void(std::size_t node, Exactness& e)> replace;

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
      {"clipping", [](std::size_t, Exactness& e) { e.unclipped = e.unbounded = true; }}};
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
                      }});
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

Outputs RunImage(const MixedExecutor& network, const std::vector<LossCause>& causes,
                 const OutputMeter& meter, std::int64_t image) {
  const MixedState start = network.ExactInputs(image);
  const MixedState exact = network.Run(start, network.AllOf(Exactness::All()));
  const Modes none = network.AllOf(Exactness::Golden());
  const MixedState golden = network.Run(start, none);
  Outputs out;
  out.total = meter.Of(image, exact, golden, golden);
  Modes ordered = none;
  for (const LossCause& cause : causes) {
    cause.Replace(ordered);
    const MixedState state = network.Run(start, ordered);
    out.after.push_back(meter.Of(image, exact, state, state));
    Modes modes = none;
    cause.Replace(modes);
    out.first.push_back(meter.Of(image, exact, network.Change(start, golden, none, modes), golden));
    modes = none;
    for (const LossCause& other : causes) {
      if (&other != &cause) other.Replace(modes);
    }
    const MixedState alone = network.Run(start, modes);
    out.only.push_back(meter.Of(image, exact, alone, alone));
  }
  return out;
}

}  // namespace

LossBudget MeasureBudget(const MixedExecutor& network, const ModelInputs& inputs, int threads) {
  const OutputMeter meter(network, inputs);
  const std::vector<LossCause> causes = CausesOf(network);
  std::vector<Outputs> images(static_cast<std::size_t>(inputs.count()));
  ParallelFor(inputs.count(), threads, [&](std::int64_t i, int) {
    images[static_cast<std::size_t>(i)] = RunImage(network, causes, meter, i);
  });
  Outputs all = std::move(images[0]);
  for (std::size_t i = 1; i < images.size(); ++i) all.Merge(images[i]);
  LossBudget budget;
  budget.total = all.total;
  budget.remainder = all.total.Ratio();
  for (std::size_t c = 0; c < causes.size(); ++c) {
    const double after = all.after[c].Ratio();
    budget.entries.push_back({causes[c].text, budget.remainder - after,
                              all.total.Ratio() - all.first[c].Ratio(),
                              all.only[c].Ratio() - all.after.back().Ratio(), all.after[c]});
    budget.remainder = after;
  }
  return budget;
}

}  // namespace qsim::diagnose
