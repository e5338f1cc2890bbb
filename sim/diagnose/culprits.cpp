#include "sim/diagnose/culprits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/base_runs.h"
#include "sim/error.h"
#include "sim/text/block_name.h"
#include "sim/text/text_util.h"

namespace qsim::diagnose {
namespace {

constexpr int kRounds = 5;           // culprits that are looked for, one behind the other
constexpr int kMostSuspicions = 8;   // of one round that are tried
constexpr int kMostRepairs = 2;      // of one suspicion
constexpr int kMostUnexplained = 6;  // steps that are made anew where no cause was recognised

// What counts, in dB. Healthy steps lose up to 12 dB more than evenly distributed rounding errors
// would, and whatever changes an integer network moves its output by 1 or 2 dB.
constexpr double kAbnormalExcess = 6;
constexpr double kIrreparableExcess = 15;
constexpr double kGainAtOutput = 3;
constexpr double kGainAtCulprit = 6;
constexpr double kLeastGain = 1;  // of a culprit itself, whatever the output gains
constexpr double kHarmAtOutput = -3;
constexpr double kGainOfSplitting = 3;  // of one scale over Q, K and V, which no bits ask for
// A step with few bits on purpose is a culprit only when most of the output's noise is its own, or
// when the same step of the other blocks has so many more dB.
constexpr double kDominant = 0.5;
constexpr double kOddOneOut = 15;

class Hunt {
 public:
  Hunt(const DiagnosisSubject& subject, const Measurement& measured, const DiagnoseOptions& options)
      : subject_(subject),
        options_(options),
        bundle_(subject.bundle),
        runs_(subject.runs),
        measured_(measured) {
    if (subject.config != nullptr) config_ = *subject.config;
  }

  std::vector<Culprit> Run() {
    std::vector<Culprit> findings;
    for (int round = 0; round < kRounds; ++round) {
      std::optional<Candidate> best = BestSuspicion();
      if (!best) best = BestRemade();
      if (!best) break;
      findings.push_back(best->finding);
      Accept(std::move(*best));
    }
    if (static_cast<int>(findings.size()) < kRounds) {
      if (auto last = Irreparable()) findings.push_back(std::move(*last));
    }
    return findings;
  }

  double output_db() const { return measured_.output.Db(); }

 private:
  // A repair that helped, and the network with it.
  struct Candidate {
    Culprit finding;
    Bundle bundle;
    std::optional<Config> config;
    std::function<void(Bundle&)> change;
  };

  // What the output gains counts first; without an effect there, what the step itself gains.
  static double Harm(const RepairTrial& trial) {
    const double output = trial.output_after - trial.output_before;
    const double own = trial.own_after - trial.own_before;
    return (output >= kGainAtOutput ? 1e3 + output : 0) + own / 1e3;
  }

  // The step that computes a tensor: products are steps together with their requantization.
  std::string StepOf(const std::string& tensor) const {
    if (measured_.Find(tensor) != nullptr) return tensor;
    for (const Op& op : bundle_.program.ops) {
      const std::vector<std::string> reads = InputsOf(op);
      if (std::find(reads.begin(), reads.end(), tensor) != reads.end()) return OutputOf(op);
    }
    return tensor;
  }

  DiagnosisSubject Current() const {
    return {subject_.model,       bundle_,      subject_.inputs, config_ ? &*config_ : nullptr,
            subject_.calibration, subject_.runs};
  }

  // The network is the repaired one from here on.
  void Accept(Candidate candidate) {
    bundle_ = std::move(candidate.bundle);
    config_ = std::move(candidate.config);
    if (candidate.change) changes_.push_back(std::move(candidate.change));
    own_runs_.reset();
    network_ = std::make_unique<const MixedExecutor>(bundle_, subject_.model, subject_.inputs,
                                                     Wiring::kAny);
    own_runs_ = std::make_unique<const BaseRuns>(*network_, subject_.inputs.count(), subject_.runs);
    runs_ = own_runs_.get();
    measured_ = Measure(*runs_, subject_.inputs, options_.threads);
  }

  // The network with a repair; nullopt where it cannot be carried out.
  std::optional<Candidate> Try(const Repair& repair, const std::string& tensor) const {
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
    } catch (const InputError&) {
      return std::nullopt;
    } catch (const ProgramError&) {
      return std::nullopt;
    }
    const MixedExecutor network(c.bundle, subject_.model, subject_.inputs, Wiring::kAny);
    const BaseRuns runs(network, subject_.inputs.count(), subject_.runs);
    RepairTrial& trial = c.finding.trial;
    trial.text = repair.text;
    trial.settings = repair.settings;
    trial.output_before = Finite(measured_.output.Db());
    trial.output_after =
        Finite(MeasureOutput(network, runs, subject_.inputs, options_.threads).Db());
    const TensorLoss* before = measured_.Find(StepOf(tensor));
    const std::optional<Step> after = StepIn(network, StepOf(tensor));
    if (before != nullptr && after) {
      trial.own_before = Finite(before->OwnDb());
      trial.own_after = Finite(Decibel(OwnLoss(runs, *after, options_.threads).Ratio()));
    }
    return c;
  }

  // Whether the step at fault loses more than its bits explain, and less once it is repaired.
  bool Confirmed(Cause cause, const Candidate& c, const std::string& tensor) const {
    const RepairTrial& trial = c.finding.trial;
    const double output = trial.output_after - trial.output_before;
    const double own = trial.own_after - trial.own_before;
    if (output < kHarmAtOutput) return false;
    const TensorLoss* tap = measured_.Find(StepOf(tensor));
    const bool abnormal = tap != nullptr && tap->ExcessDb() >= kAbnormalExcess;
    if (cause == Cause::kTooFewBits || cause == Cause::kDecayRoundsToOne) {
      if (tap != nullptr && own >= kOddOneOut && IsOddOneOut(*tap)) return true;
      const auto effect = EffectOf(tensor);
      return output >= kGainAtOutput && effect && Dominates(*effect);
    }
    // Behind the last row a state may be back within its range.
    if (cause == Cause::kStateSaturates && output >= kGainAtOutput) return true;
    // Outliers of the data themselves are in what is expected of the bits.
    if (cause == Cause::kChannelOutliers && output >= kGainAtOutput) {
      const auto effect = EffectOf(tensor);
      if (effect && Dominates(*effect)) return true;
    }
    if (cause == Cause::kStackedScale && own >= kGainOfSplitting) return true;
    return abnormal && own >= kLeastGain && (output >= kGainAtOutput || own >= kGainAtCulprit);
  }

  // Against the median of the same step of the other blocks.
  bool IsOddOneOut(const TensorLoss& tap) const {
    std::vector<double> peers;
    for (const TensorLoss& other : measured_.taps) {
      const bool same_kind = SplitBlock(other.tensor).rest == SplitBlock(tap.tensor).rest;
      if (same_kind && other.tensor != tap.tensor) peers.push_back(other.OwnDb());
    }
    if (peers.empty()) return false;
    const auto middle = peers.begin() + static_cast<std::ptrdiff_t>(peers.size() / 2);
    std::nth_element(peers.begin(), middle, peers.end());
    return tap.OwnDb() <= *middle - kOddOneOut;
  }

  static std::optional<Step> StepIn(const MixedExecutor& network, const std::string& tensor) {
    for (Step& step : StepsOf(network)) {
      if (step.tensor == tensor) return std::move(step);
    }
    return std::nullopt;
  }

  // The effects of one step in the network as it is; nullopt for a tensor that is no step.
  std::optional<StepContribution> EffectOf(const std::string& tensor) const {
    const std::optional<Step> step = StepIn(runs_->network(), StepOf(tensor));
    if (!step) return std::nullopt;
    return MeasureContributions(*runs_, subject_.inputs, {*step}, options_.threads).front();
  }

  bool Dominates(const StepContribution& effect) const {
    return effect.alone.Ratio() >= kDominant * measured_.output.Ratio();
  }

  void Keep(Candidate candidate, std::optional<Candidate>& best) const {
    if (!best || Harm(candidate.finding.trial) > Harm(best->finding.trial))
      best = std::move(candidate);
  }

  std::optional<Candidate> BestSuspicion() const {
    if (!options_.recognise) return std::nullopt;
    std::vector<Suspicion> suspicions = options_.recognise(Current(), options_.threads);
    if (suspicions.size() > kMostSuspicions) suspicions.resize(kMostSuspicions);
    std::optional<Candidate> best;
    for (Suspicion& suspicion : suspicions) {
      int tried = 0;
      for (const Repair& repair : suspicion.repairs) {
        if (tried++ == kMostRepairs) break;
        std::optional<Candidate> candidate = Try(repair, suspicion.tensor);
        if (!candidate || !Confirmed(suspicion.cause, *candidate, suspicion.tensor)) continue;
        candidate->finding.cause = suspicion.cause;
        candidate->finding.tensor = suspicion.tensor;
        candidate->finding.text = suspicion.text;
        candidate->finding.evidence = suspicion.evidence;
        Keep(std::move(*candidate), best);
        break;
      }
    }
    return best;
  }

  // The steps that lose more than their bits explain. First those that do so more than the same
  // steps of other blocks: an approximation loses its share in every block.
  std::vector<const TensorLoss*> Strange(double excess) const {
    std::map<std::string, std::vector<double>> peers;
    for (const TensorLoss& tap : measured_.taps) {
      peers[SplitBlock(tap.tensor).rest].push_back(tap.ExcessDb());
    }
    std::vector<std::pair<double, const TensorLoss*>> strange;
    for (const TensorLoss& tap : measured_.taps) {
      if (!(tap.ExcessDb() >= excess)) continue;
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

  static void Explain(const TensorLoss& tap, Culprit& finding) {
    finding.tensor = tap.tensor;
    finding.text = fmt::format(
        "the operation does not compute what it stands for: {:.1f} dB more noise than its bits "
        "explain",
        tap.ExcessDb());
    finding.evidence = {{"QSNR alone", Finite(tap.OwnDb()), "dB"},
                        {"QSNR in place", Finite(tap.InPlaceDb()), "dB"}};
  }

  // Strange steps, made anew from the float weights and the scales around them.
  std::optional<Candidate> BestRemade() const {
    const auto rederivation = std::make_shared<Rederivation>(subject_.model, subject_.inputs);
    const MixedExecutor& network = runs_->network();
    std::optional<Candidate> best;
    for (const TensorLoss* tap : Strange(kAbnormalExcess)) {
      const std::optional<Step> step = StepIn(network, tap->tensor);
      std::vector<std::string> tensors;
      for (const std::size_t n : step->nodes) tensors.push_back(network.NameOf(n));
      Repair repair;
      repair.text = "make the operation anew from the float weights and the scales around it";
      repair.change = [rederivation, tensors, linear = tap->accumulator](Bundle& b) {
        if (!linear) return rederivation->Derive(tensors, b);
        for (const std::string& tensor : tensors) rederivation->Requantize(tensor, b);
      };
      std::optional<Candidate> candidate = Try(repair, tap->tensor);
      if (!candidate || !Confirmed(Cause::kUnexplained, *candidate, tap->tensor)) continue;
      Explain(*tap, candidate->finding);
      Keep(std::move(*candidate), best);
    }
    return best;
  }

  // A step that no repair helps, and to which the output owes most of its noise. The algorithms
  // that approximate a function are chosen with what they lose.
  std::optional<Culprit> Irreparable() const {
    const MixedExecutor& network = runs_->network();
    for (const TensorLoss* tap : Strange(kIrreparableExcess)) {
      if (network.HasFunction(network.NodeOf(tap->tensor))) continue;
      const auto effect = EffectOf(tap->tensor);
      if (!effect || !Dominates(*effect)) continue;
      const double before = Finite(measured_.output.Db());
      const double after = Finite(effect->without.Db());
      if (after - before < kGainAtOutput) continue;
      Culprit finding;
      Explain(*tap, finding);
      finding.exact_instead = true;
      finding.trial = {"none is known; tried: the exact operation in its place",
                       {},
                       before,
                       after,
                       Finite(tap->OwnDb()),
                       Finite(tap->OwnDb())};
      return finding;
    }
    return std::nullopt;
  }

  const DiagnosisSubject& subject_;
  const DiagnoseOptions& options_;
  Bundle bundle_;
  std::unique_ptr<const MixedExecutor> network_;  // of a repaired bundle
  std::unique_ptr<const BaseRuns> own_runs_;
  const BaseRuns* runs_;  // of the network as it is
  Measurement measured_;
  std::optional<Config> config_;
  std::vector<std::function<void(Bundle&)>> changes_;  // repairs of the bundle so far
};

}  // namespace

std::vector<Culprit> FindCulprits(const DiagnosisSubject& subject, const Measurement& measured,
                                  const DiagnoseOptions& options, double* repaired_db) {
  Hunt hunt(subject, measured, options);
  std::vector<Culprit> findings = hunt.Run();
  *repaired_db = hunt.output_db();
  return findings;
}

}  // namespace qsim::diagnose
