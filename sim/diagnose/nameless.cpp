#include "sim/diagnose/nameless.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/error.h"
#include "sim/text/block_name.h"

namespace qsim::diagnose {
namespace {

constexpr double kIrreparableExcess = 15;
constexpr double kInaudibleDb = 30;
constexpr int kMostUnexplained = 6;   // steps that are made anew where no cause was recognised
constexpr double kGainOfOneStep = 6;  // exact, in dB at the output
constexpr double kLargeLossDb = 15;   // at the output
constexpr double kMostOfLoss = 0.5;

// How many dB apart the noise of the same n values may be by chance, in hundreds of steps: the
// logarithm of a sum of n squares has the variance 2 / n, and this is 4.3 standard deviations.
double ChanceDb(std::int64_t n) { return 4.3 * 20 / (std::log(10.0) * std::sqrt(n)); }

// The steps that lose more than their bits explain, and not far less than those before them did.
// First those that do so more than the same
// steps of other blocks: an approximation loses its share in every block.
std::vector<const TensorLoss*> Strange(const Measurement& measured, double excess) {
  std::map<std::string, std::vector<double>> peers;
  for (const TensorLoss& tap : measured.taps)
    peers[SplitBlock(tap.tensor).rest].push_back(tap.ExcessDb());
  std::vector<std::pair<double, const TensorLoss*>> strange;
  for (const TensorLoss& tap : measured.taps) {
    if (!(tap.ExcessDb() >= excess) || tap.OwnDb() > tap.InPlaceDb() + kInaudibleDb) continue;
    std::vector<double>& all = peers.at(SplitBlock(tap.tensor).rest);
    std::sort(all.begin(), all.end());
    const double usual = all.size() > 2 ? std::max(all[(all.size() - 1) / 2], 0.0) : 0;
    strange.emplace_back(tap.ExcessDb() - usual, &tap);
  }
  std::stable_sort(strange.begin(), strange.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (strange.size() > kMostUnexplained) strange.resize(kMostUnexplained);
  std::vector<const TensorLoss*> taps;
  for (const auto& [more, tap] : strange) taps.push_back(tap);
  return taps;
}

void Explain(const TensorLoss& tap, Culprit& finding) {
  finding.tensor = tap.tensor;
  finding.text = fmt::format(
      "the operation does not compute what it stands for: {:.1f} dB more noise than its bits "
      "explain",
      tap.ExcessDb());
  finding.evidence = {{"own QSNR", Finite(tap.OwnDb()), "dB"},
                      {"QSNR in place", Finite(tap.InPlaceDb()), "dB"}};
}

// Tried: the exact operation in the step's place.
void ExactInstead(const Bench& bench, const TensorLoss& tap, double after, Culprit& finding) {
  finding.exact_instead = true;
  finding.trial.text = "none is known; tried: the exact operation in its place";
  finding.trial.output_before = Finite(bench.measured().output.Db());
  finding.trial.output_after = Finite(after);
  finding.trial.own_before = finding.trial.own_after = Finite(tap.OwnDb());
}

std::vector<std::string> TensorsOf(const Bench& bench, const std::string& tensor) {
  std::vector<std::string> tensors;
  const std::optional<Step> step = bench.StepIn(tensor);
  for (const std::size_t n : step->nodes) tensors.push_back(bench.network().NameOf(n));
  return tensors;
}

// Whether a step is a function's approximation, with the constants that it should have.
bool ApproximatesAsMade(const Bench& bench, const std::string& tensor) {
  const MixedExecutor& network = bench.network();
  if (!network.HasFunction(network.NodeOf(tensor))) return false;
  const Rederivation rederivation(bench.model(), bench.inputs());
  Bundle made = bench.bundle();
  try {
    rederivation.Derive({tensor}, made);
  } catch (const InputError&) {
    return false;
  }
  return *ProducerOf(made.program, tensor) == *ProducerOf(bench.bundle().program, tensor);
}

// Why a step cannot be made anew; empty where it can.
std::string WhyNotMade(const Bench& bench, const std::string& tensor) {
  const Rederivation rederivation(bench.model(), bench.inputs());
  Bundle made = bench.bundle();
  try {
    rederivation.Derive(TensorsOf(bench, tensor), made);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

std::optional<Candidate> BestRemade(
    const Bench& bench, const std::function<bool(Cause cause, const Candidate& c)>& confirmed) {
  const auto rederivation = std::make_shared<Rederivation>(bench.model(), bench.inputs());
  std::optional<Candidate> best;
  const auto gain = [](const RepairTrial& t) {
    return std::pair(t.output_after - t.output_before, t.own_after - t.own_before);
  };
  for (const TensorLoss* tap : Strange(bench.measured(), kAbnormalExcess)) {
    Repair repair;
    repair.text = "make the operation anew from the float weights and the scales around it";
    repair.change = [rederivation, tensors = TensorsOf(bench, tap->tensor),
                     linear = tap->accumulator](Bundle& b) {
      if (!linear) return rederivation->Derive(tensors, b);
      for (const std::string& tensor : tensors) rederivation->Requantize(tensor, b);
    };
    std::optional<Candidate> candidate = bench.Try(repair, tap->tensor);
    if (!candidate) continue;
    candidate->finding.tensor = tap->tensor;
    if (!confirmed(Cause::kUnexplained, *candidate)) continue;
    if (candidate->finding.trial.output_after < candidate->finding.trial.output_before) continue;
    Explain(*tap, candidate->finding);
    if (!best || gain(candidate->finding.trial) > gain(best->finding.trial))
      best = std::move(candidate);
  }
  return best;
}

std::optional<Culprit> Irreparable(const Bench& bench) {
  for (const TensorLoss* tap : Strange(bench.measured(), kAbnormalExcess)) {
    const std::string why = WhyNotMade(bench, tap->tensor);
    const bool function = bench.network().HasFunction(bench.network().NodeOf(tap->tensor));
    if (why.empty() && (function || tap->ExcessDb() < kIrreparableExcess)) continue;
    const auto effect = bench.EffectOf(tap->tensor);
    if (!effect || (why.empty() && !bench.Dominates(*effect))) continue;
    if (effect->without.Db() - bench.measured().output.Db() < kGainAtOutput) continue;
    Culprit finding;
    Explain(*tap, finding);
    ExactInstead(bench, *tap, effect->without.Db(), finding);
    if (!why.empty()) finding.text += "; it cannot be made anew: " + why;
    return finding;
  }
  return std::nullopt;
}

std::optional<Culprit> Unaccounted(const Bench& bench, const Diagnosis& diagnosis,
                                   std::string& by_chance) {
  const double output = bench.measured().output.Db();
  const auto found = [&](const StepContribution& step, std::string text) {
    Culprit finding;
    const TensorLoss& tap = *bench.measured().Find(step.tensor);
    Explain(tap, finding);
    finding.text = std::move(text);
    ExactInstead(bench, tap, step.without.Db(), finding);
    return finding;
  };
  const StepContribution* most = nullptr;
  for (const StepContribution& step : diagnosis.effects) {
    if (step.without.Db() - output < kGainOfOneStep) continue;
    if (most != nullptr && step.without.Db() <= most->without.Db()) continue;
    if (!ApproximatesAsMade(bench, step.tensor)) most = &step;
  }
  if (most != nullptr) {
    const double gain = most->without.Db() - output;
    const std::int64_t values = bench.measured().output.values();
    if (gain >= ChanceDb(values)) {
      return found(*most, fmt::format("exact in its place, this step alone gains {:.1f} dB at the "
                                      "output, and nothing says why it loses as much",
                                      gain));
    }
    by_chance = fmt::format(
        "{} exact gains {:.1f} dB, which may be chance: the output has {} values, more --images "
        "tell",
        most->tensor, gain, values);
    most = nullptr;
  }
  // A line of the budget, of what is no algorithm's choice, and the step that has most of it.
  const double total = diagnosis.budget.total.Ratio();
  const LossEntry* line = nullptr;
  for (const LossEntry& entry : diagnosis.budget.entries) {
    if (!entry.approximation && entry.noise >= kMostOfLoss * total) line = &entry;
  }
  if (line == nullptr || (output >= kLargeLossDb && !diagnosis.ClippingDominates()))
    return std::nullopt;
  for (const StepContribution& step : diagnosis.effects) {
    if (ApproximatesAsMade(bench, step.tensor)) continue;
    if (most == nullptr || step.alone.Ratio() > most->alone.Ratio()) most = &step;
  }
  if (most == nullptr || !(bench.Dominates(*most) || diagnosis.ClippingDominates()))
    return std::nullopt;
  return found(*most, fmt::format("{:.0f} % of the output's noise is {}, most of it this step's, "
                                  "and nothing says why it loses as much",
                                  100 * std::min(1.0, line->noise / total), line->cause));
}

}  // namespace qsim::diagnose
