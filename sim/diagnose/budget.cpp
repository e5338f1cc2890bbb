#include "sim/diagnose/budget.h"

#include <array>
#include <utility>

#include "sim/diagnose/steps.h"
#include "sim/parallel.h"

namespace qsim {
namespace {

constexpr std::array<LossCause, kLossCauses> kCauses = {
    LossCause::kWeights,   LossCause::kActivations, LossCause::kClipping,    LossCause::kSoftmax,
    LossCause::kLayernorm, LossCause::kGelu,        LossCause::kMultipliers, LossCause::kResidual};

// The residual stream: a block's input, the embedding, and what residual adds give.
bool IsStream(const Op* op) {
  return op == nullptr || std::holds_alternative<ResidualAddOp>(*op) ||
         std::holds_alternative<EmbedOp>(*op);
}

void Replace(LossCause cause, const Op* op, Exactness& e) {
  const auto is = [&](auto kind) {
    return op != nullptr && std::holds_alternative<decltype(kind)>(*op);
  };
  switch (cause) {
    case LossCause::kWeights:
      e.weights = true;
      break;
    case LossCause::kActivations:
      e.unrounded = e.unrounded || !IsStream(op);
      break;
    case LossCause::kClipping:
      e.unclipped = true;
      e.unbounded = true;
      break;
    case LossCause::kSoftmax:
      e.function = e.function || is(SoftmaxOp());
      break;
    case LossCause::kLayernorm:
      e.function = e.function || is(LayernormOp());
      break;
    case LossCause::kGelu:
      e.function = e.function || is(GeluOp());
      break;
    case LossCause::kMultipliers:
      e.ratio = true;
      break;
    case LossCause::kResidual:
      e.unrounded = e.unrounded || IsStream(op);
      break;
  }
}

void Replace(LossCause cause, const MixedExecutor& network, Modes& modes) {
  for (std::size_t n = 0; n < modes.size(); ++n) Replace(cause, network.OpOf(n), modes[n]);
}

// One image: the integer network, then after each replacement in order, each replaced first, and
// each left for last.
struct Outputs {
  OutputPower total;
  std::array<OutputPower, kLossCauses> after, first, only;
  void Merge(const Outputs& later) {
    total.Merge(later.total);
    for (std::size_t c = 0; c < kLossCauses; ++c) {
      after[c].Merge(later.after[c]);
      first[c].Merge(later.first[c]);
      only[c].Merge(later.only[c]);
    }
  }
};

Outputs RunImage(const MixedExecutor& network, const OutputMeter& meter, std::int64_t image) {
  const MixedState start = network.ExactInputs(image);
  const MixedState exact = network.Run(start, network.AllOf(Exactness::All()));
  const Modes none = network.AllOf(Exactness::Golden());
  const MixedState golden = network.Run(start, none);
  Outputs out;
  out.total = meter.Of(image, exact, golden, golden);
  Modes ordered = none;
  for (std::size_t c = 0; c < kLossCauses; ++c) {
    Replace(kCauses[c], network, ordered);
    const MixedState state = network.Run(start, ordered);
    out.after[c] = meter.Of(image, exact, state, state);
    Modes modes = none;
    Replace(kCauses[c], network, modes);
    out.first[c] = meter.Of(image, exact, network.Change(start, golden, none, modes), golden);
    modes = none;
    for (const LossCause other : kCauses) {
      if (other != kCauses[c]) Replace(other, network, modes);
    }
    const MixedState alone = network.Run(start, modes);
    out.only[c] = meter.Of(image, exact, alone, alone);
  }
  return out;
}

}  // namespace

std::string_view Describe(LossCause cause) {
  constexpr std::array<std::string_view, kLossCauses> kTexts = {
      "integer weights",       "rounding of activations",  "clipping",
      "softmax approximation", "layer norm approximation", "GELU approximation",
      "scales as multipliers", "residual stream's width"};
  return kTexts[static_cast<std::size_t>(cause)];
}

LossBudget MeasureBudget(const MixedExecutor& network, const ModelInputs& inputs, int threads) {
  const OutputMeter meter(network, inputs);
  std::vector<Outputs> images(static_cast<std::size_t>(inputs.count()));
  ParallelFor(inputs.count(), threads, [&](std::int64_t i, int) {
    images[static_cast<std::size_t>(i)] = RunImage(network, meter, i);
  });
  Outputs all = std::move(images[0]);
  for (std::size_t i = 1; i < images.size(); ++i) all.Merge(images[i]);
  LossBudget budget;
  budget.total = all.total;
  double before = all.total.Ratio();
  for (std::size_t c = 0; c < kLossCauses; ++c) {
    LossEntry entry;
    entry.cause = kCauses[c];
    entry.noise = before - all.after[c].Ratio();
    before = all.after[c].Ratio();
    entry.first = all.total.Ratio() - all.first[c].Ratio();
    entry.last = all.only[c].Ratio() - all.after.back().Ratio();
    entry.after = all.after[c];
    budget.entries.push_back(std::move(entry));
  }
  budget.remainder = before;
  return budget;
}

}  // namespace qsim
