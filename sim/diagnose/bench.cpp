#include "sim/diagnose/bench.h"

#include <algorithm>
#include <utility>

#include "golden/program/queries.h"
#include "sim/error.h"

namespace qsim::diagnose {
namespace {

constexpr double kDominant = 0.5;

std::optional<Step> StepOfNetwork(const MixedExecutor& network, const std::string& tensor) {
  for (Step& step : StepsOf(network)) {
    if (step.tensor == tensor) return std::move(step);
  }
  return std::nullopt;
}

}  // namespace

Bench::Bench(const DiagnosisSubject& subject, const Measurement& measured,
             const DiagnoseOptions& options)
    : subject_(subject),
      options_(options),
      bundle_(subject.bundle),
      runs_(subject.runs),
      measured_(measured),
      clipping_dominates_(subject.clipping_dominates) {
  if (subject.config != nullptr) config_ = *subject.config;
}

DiagnosisSubject Bench::Current() const {
  DiagnosisSubject current = {subject_.model,       bundle_,
                              subject_.inputs,      config_ ? &*config_ : nullptr,
                              subject_.calibration, subject_.runs};
  current.clipping_dominates = clipping_dominates_;
  return current;
}

std::string Bench::StepOf(const std::string& tensor) const {
  if (measured_.Find(tensor) != nullptr) return tensor;
  for (const Op& op : bundle_.program.ops) {
    const std::vector<std::string> reads = InputsOf(op);
    if (std::find(reads.begin(), reads.end(), tensor) != reads.end()) return OutputOf(op);
  }
  return tensor;
}

std::optional<Step> Bench::StepIn(const std::string& tensor) const {
  return StepOfNetwork(network(), StepOf(tensor));
}

void Bench::Accept(Candidate candidate) {
  bundle_ = std::move(candidate.bundle);
  config_ = std::move(candidate.config);
  if (candidate.change) changes_.push_back(std::move(candidate.change));
  own_runs_.reset();
  network_ =
      std::make_unique<const MixedExecutor>(bundle_, subject_.model, subject_.inputs, Wiring::kAny);
  own_runs_ = std::make_unique<const BaseRuns>(*network_, subject_.inputs.count(), subject_.runs);
  runs_ = own_runs_.get();
  measured_ = Measure(*runs_, subject_.inputs, options_.threads);
  const OutputPower unclipped = MeasureOutput(*network_, *runs_, subject_.inputs, options_.threads,
                                              {.unclipped = true, .unbounded = true});
  clipping_dominates_ = unclipped.Ratio() <= (1 - kDominant) * measured_.output.Ratio();
}

std::optional<Candidate> Bench::Try(const Repair& repair, const std::string& tensor,
                                    std::string* why) const {
  Candidate c;
  c.bundle = bundle_;
  c.config = config_;
  try {
    if (repair.change) {
      repair.change(c.bundle);
      c.change = repair.change;
    } else {
      if (!c.config || !options_.calibrate) return std::nullopt;
      c.config = WithSettings(*c.config, repair.settings);
      if (!c.config) return std::nullopt;
      c.bundle = options_.calibrate(*c.config);
      for (const auto& change : changes_) change(c.bundle);
    }
    Validate(c.bundle.program);
  } catch (const ReadError&) {
    throw;
  } catch (const InputError& error) {
    if (why != nullptr) *why = error.what();
    return std::nullopt;
  } catch (const ProgramError& error) {
    if (why != nullptr) *why = error.what();
    return std::nullopt;
  }
  const MixedExecutor network(c.bundle, subject_.model, subject_.inputs, Wiring::kAny);
  const BaseRuns runs(network, subject_.inputs.count(), subject_.runs);
  RepairTrial& trial = c.finding.trial;
  trial.text = repair.text;
  trial.settings = repair.settings;
  trial.output_before = Finite(measured_.output.Db());
  trial.output_after = Finite(MeasureOutput(network, runs, subject_.inputs, options_.threads).Db());
  const TensorLoss* before = LossOf(tensor);
  const std::optional<Step> after = StepOfNetwork(network, StepOf(tensor));
  if (before != nullptr && after) {
    trial.own_before = Finite(before->OwnDb());
    trial.own_after = Finite(Decibel(OwnLoss(runs, *after, options_.threads).Ratio()));
  }
  return c;
}

std::optional<StepContribution> Bench::EffectOf(const std::string& tensor) const {
  const std::optional<Step> step = StepIn(tensor);
  if (!step) return std::nullopt;
  return MeasureContributions(*runs_, subject_.inputs, {*step}, options_.threads).front();
}

bool Bench::Dominates(const StepContribution& effect) const {
  return effect.alone.Ratio() >= kDominant * measured_.output.Ratio();
}

}  // namespace qsim::diagnose
