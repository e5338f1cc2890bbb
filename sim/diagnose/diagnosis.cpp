#include "sim/diagnose/diagnosis.h"

#include <algorithm>
#include <cmath>

#include "sim/diagnose/base_runs.h"
#include "sim/diagnose/costs.h"
#include "sim/diagnose/culprits.h"
#include "sim/run/pieces.h"

namespace qsim::diagnose {
namespace {

// Each step's experiments carry it through half of the network on the average: once in float, once
// in integers, and once more in float for all before it.
constexpr double kPassesOfStep = 1.5;
constexpr double kLeastSteps = 8;

// The steps whose effects are measured: all of them, or as many as the work allows of those that
// lose most by themselves.
std::vector<Step> Chosen(const MixedExecutor& network, const Measurement& measured, double work,
                         const ModelInputs& inputs) {
  std::vector<Step> steps = StepsOf(network);
  const std::int64_t macs = MacsOf(network.bundle().program, LengthOf(inputs, 0));
  const double one =
      kPassesOfStep * static_cast<double>(macs) * static_cast<double>(inputs.count());
  const double affordable = std::max(work / std::max(one, 1.0), kLeastSteps);
  if (affordable >= static_cast<double>(steps.size())) return steps;
  std::vector<double> losses;
  for (const TensorLoss& tap : measured.taps) losses.push_back(tap.own.Ratio());
  std::vector<double> sorted = losses;
  std::sort(sorted.rbegin(), sorted.rend());
  const double least = sorted[static_cast<std::size_t>(affordable) - 1];
  std::vector<Step> chosen;
  for (std::size_t s = 0; s < steps.size(); ++s) {
    if (losses[s] >= least) chosen.push_back(std::move(steps[s]));
  }
  return chosen;
}

}  // namespace

bool Diagnosis::ClippingDominates() const {
  constexpr double kMost = 0.5;
  const double total = budget.total.Ratio();
  return std::any_of(budget.entries.begin(), budget.entries.end(), [&](const LossEntry& entry) {
    return entry.clipping && total > 0 && entry.noise >= kMost * total;
  });
}

Diagnosis Diagnose(const DiagnosisSubject& subject, const DiagnoseOptions& options) {
  const MixedExecutor network(subject.bundle, subject.model, subject.inputs, Wiring::kAny);
  const BaseRuns runs(network, subject.inputs.count());
  DiagnosisSubject with_runs = subject;
  with_runs.runs = &runs;
  Diagnosis diagnosis;
  diagnosis.scope = options.scope;
  diagnosis.bundle = options.bundle;
  diagnosis.made_of = subject.bundle.provenance;
  diagnosis.weights_hash = subject.model.weights_hash;
  diagnosis.images = subject.inputs.count();
  diagnosis.tokens = std::holds_alternative<TokenInputs>(subject.inputs.data);
  diagnosis.measured = Measure(runs, subject.inputs, options.threads);
  diagnosis.weights = MeasureWeights(network);
  const std::vector<Step> steps = Chosen(network, diagnosis.measured, options.work, subject.inputs);
  diagnosis.effects = MeasureContributions(runs, subject.inputs, steps, options.threads);
  diagnosis.budget = MeasureBudget(runs, subject.inputs, options.threads);
  with_runs.clipping_dominates = diagnosis.ClippingDominates();
  FindCulprits(with_runs, options, diagnosis);
  if (diagnosis.healthy() && options.recognise) diagnosis.costs = FindCosts(with_runs, options);
  return diagnosis;
}

}  // namespace qsim::diagnose
