#include "sim/diagnose/culprits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/bench.h"
#include "sim/diagnose/nameless.h"
#include "sim/statistics/median.h"
#include "sim/text/block_name.h"

namespace qsim::diagnose {
namespace {

constexpr int kRounds = 5;          // culprits that are looked for, one behind the other
constexpr int kMostSuspicions = 8;  // of one round that are tried
constexpr int kMostRepairs = 2;     // of one suspicion

// What counts, in dB, beside kAbnormalExcess and kGainAtOutput.
constexpr double kGainAtCulprit = 6;
constexpr double kLeastGain = 1;        // of a culprit itself, whatever the output gains
constexpr double kWorse = -0.5;         // at the output: no repair
constexpr double kGainOfSplitting = 3;  // of one scale over Q, K and V, which no bits ask for
// A step with few bits on purpose is a culprit only when most of the output's noise is its own, or
// when the same step of the other blocks has so many more dB.
constexpr double kOddOneOut = 15;
constexpr double kStaleExcess = 3;  // of a layer whose codes are none of these weights'

class Hunt {
 public:
  Hunt(const DiagnosisSubject& subject, const Diagnosis& diagnosis, const DiagnoseOptions& options)
      : bench_(subject, diagnosis.measured, options), diagnosis_(diagnosis) {}

  std::vector<Culprit> Run() {
    std::vector<Culprit> findings;
    if (auto stale = Stale()) findings.push_back(Taken(std::move(*stale)));
    while (static_cast<int>(findings.size()) < kRounds) {
      std::optional<Candidate> best = BestSuspicion();
      if (!best)
        best = BestRemade(bench_, [&](Cause cause, const Candidate& c) {
          return Confirmed(cause, c, c.finding.tensor);
        });
      if (!best) break;
      findings.push_back(Taken(std::move(*best)));
    }
    if (static_cast<int>(findings.size()) < kRounds) {
      if (auto last = Irreparable(bench_)) findings.push_back(std::move(*last));
    }
    if (findings.empty()) {
      if (auto last = Unaccounted(bench_, diagnosis_, by_chance_))
        findings.push_back(std::move(*last));
    }
    return findings;
  }

  double output_db() const { return bench_.measured().output.Db(); }
  const std::string& by_chance() const { return by_chance_; }

 private:
  // What the output gains counts first; without an effect there, what the step itself gains. A
  // repair that makes the output worse comes last.
  static double Harm(const RepairTrial& trial) {
    const double output = trial.output_after - trial.output_before;
    const double own = trial.own_after - trial.own_before;
    const double first = output >= kGainAtOutput ? 1e3 + output : trial.worse ? -1e3 : 0;
    return first + own / 1e3;
  }

  // The network goes on with the repair, unless that makes it worse.
  Culprit Taken(Candidate candidate) {
    Culprit finding = candidate.finding;
    if (finding.trial.worse) {
      left_.insert(finding.tensor);
    } else {
      bench_.Accept(std::move(candidate));
    }
    return finding;
  }

  // Whether the step at fault loses more than its bits explain, and less once it is repaired.
  bool Confirmed(Cause cause, const Candidate& c, const std::string& tensor) const {
    const RepairTrial& trial = c.finding.trial;
    const double output = trial.output_after - trial.output_before;
    const double own = trial.own_after - trial.own_before;
    const TensorLoss* tap = bench_.LossOf(tensor);
    const bool abnormal = tap != nullptr && tap->ExcessDb() >= kAbnormalExcess;
    if (cause == Cause::kTooFewBits || cause == Cause::kDecayRoundsToOne ||
        cause == Cause::kChannelOutliers) {
      // Outliers of the data themselves are in what is expected of the bits.
      const bool odd = cause != Cause::kChannelOutliers && tap != nullptr && own >= kOddOneOut &&
                       IsOddOneOut(*tap);
      if (odd) return true;
      const auto effect = bench_.EffectOf(tensor);
      if (output >= kGainAtOutput && effect && bench_.Dominates(*effect)) return true;
    }
    // Behind the last row a state may be back within its range.
    if (cause == Cause::kStateSaturates && output >= kGainAtOutput) return true;
    if (cause == Cause::kStackedScale && own >= kGainOfSplitting) return true;
    // Values that are each half a step off have more noise than rounding has on the average.
    constexpr double kHalfStep = 5;
    if (cause == Cause::kTooFewBits && tap != nullptr &&
        tap->ExcessDb() < kAbnormalExcess + kHalfStep) {
      return false;
    }
    return abnormal && own >= kLeastGain && (output >= kGainAtOutput || own >= kGainAtCulprit);
  }

  // Against the median of the same step of the other blocks.
  bool IsOddOneOut(const TensorLoss& tap) const {
    std::vector<double> peers;
    for (const TensorLoss& other : bench_.measured().taps) {
      const bool same_kind = SplitBlock(other.tensor).rest == SplitBlock(tap.tensor).rest;
      if (same_kind && other.tensor != tap.tensor) peers.push_back(other.OwnDb());
    }
    if (peers.empty()) return false;
    return tap.OwnDb() <= Median(std::move(peers)) - kOddOneOut;
  }

  std::optional<Candidate> BestSuspicion() const {
    if (!bench_.options().recognise) return std::nullopt;
    std::vector<Suspicion> suspicions =
        bench_.options().recognise(bench_.Current(), bench_.options().threads);
    std::erase_if(suspicions, [&](const Suspicion& s) { return left_.contains(s.tensor); });
    if (suspicions.size() > kMostSuspicions) suspicions.resize(kMostSuspicions);
    std::optional<Candidate> best;
    for (Suspicion& suspicion : suspicions) {
      int tried = 0;
      std::optional<Candidate> helps;
      for (const Repair& repair : suspicion.repairs) {
        if (tried++ == kMostRepairs) break;
        std::optional<Candidate> candidate = bench_.Try(repair, suspicion.tensor);
        if (!candidate || !Confirmed(suspicion.cause, *candidate, suspicion.tensor)) continue;
        RepairTrial& trial = candidate->finding.trial;
        trial.worse = trial.output_after - trial.output_before < kWorse;
        if (!helps || !trial.worse) helps = std::move(candidate);
        if (!helps->finding.trial.worse) break;
      }
      if (!helps) continue;
      helps->finding.cause = suspicion.cause;
      helps->finding.tensor = suspicion.tensor;
      helps->finding.text = suspicion.text;
      helps->finding.evidence = suspicion.evidence;
      if (!best || Harm(helps->finding.trial) > Harm(best->finding.trial)) best = std::move(helps);
    }
    return best;
  }

  // A bundle of other weights: its hash is another one, and most of its layers hold codes that are
  // not those of these weights.
  std::optional<Candidate> Stale() const {
    const Provenance& made = diagnosis_.made_of;
    const std::string& own = bench_.model().weights_hash;
    if (made.weights_hash.empty() || own.empty() || made.weights_hash == own) return std::nullopt;
    std::vector<std::string> layers, others;
    std::size_t off = 0;
    const TensorLoss* worst = nullptr;
    for (const TensorLoss& tap : bench_.measured().taps) {
      if (!tap.accumulator) continue;
      layers.push_back(tap.tensor);
      off += tap.ExcessDb() >= kStaleExcess;
      if (worst == nullptr || tap.OwnDb() < worst->OwnDb()) worst = &tap;
    }
    if (worst == nullptr || off * 2 < layers.size()) return std::nullopt;
    for (const Op& op : bench_.bundle().program.ops) {
      if (std::find(layers.begin(), layers.end(), OutputOf(op)) == layers.end())
        others.push_back(OutputOf(op));
    }
    const auto rederivation = std::make_shared<Rederivation>(bench_.model(), bench_.inputs());
    Repair anew;
    anew.text = "make the bundle anew from these weights";
    anew.change = [rederivation, layers, others](Bundle& b) {
      for (const std::string& layer : layers) rederivation->Requantize(layer, b);
      rederivation->Derive(others, b, true);
    };
    std::optional<Candidate> candidate = bench_.Try(anew, worst->tensor);
    if (!candidate) return std::nullopt;
    const RepairTrial& trial = candidate->finding.trial;
    if (trial.output_after - trial.output_before < kGainAtOutput) return std::nullopt;
    candidate->finding.cause = Cause::kStaleWeights;
    candidate->finding.tensor = worst->tensor;
    candidate->finding.text = fmt::format(
        "the bundle was made of other weights, of hash {:.8}..., than these, of hash {:.8}...: {} "
        "of {} layers hold codes that are not theirs, this one farthest from them",
        made.weights_hash, own, off, layers.size());
    return candidate;
  }

  Bench bench_;
  const Diagnosis& diagnosis_;
  std::set<std::string> left_;  // tensors whose repair makes the output worse
  std::string by_chance_;
};

}  // namespace

void FindCulprits(const DiagnosisSubject& subject, const DiagnoseOptions& options,
                  Diagnosis& diagnosis) {
  Hunt hunt(subject, diagnosis, options);
  diagnosis.findings = hunt.Run();
  diagnosis.repaired_db = hunt.output_db();
  diagnosis.by_chance = hunt.by_chance();
}

}  // namespace qsim::diagnose
