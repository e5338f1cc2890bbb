#include "sim/diagnose/causes/causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/arithmetic_causes.h"
#include "sim/diagnose/causes/carried_causes.h"
#include "sim/diagnose/causes/linear_causes.h"
#include "sim/diagnose/causes/probe.h"
#include "sim/diagnose/causes/range_causes.h"
#include "sim/error.h"

namespace qsim::diagnose {
namespace {

// Every operation as the stated scales ask for; linear layers but for their accumulators as they
// are.
Bundle Remade(const DiagnosisSubject& subject, const Rederivation& rederivation) {
  Bundle bundle = subject.bundle;
  AskForEps(bundle.contracts);
  std::vector<std::string> others;
  for (const Op& op : subject.bundle.program.ops) {
    if (!LinearOperandsOf(op)) others.push_back(OutputOf(op));
  }
  // A ratio without a multiplier is skipped: the range of one of its tensors is at fault.
  rederivation.Derive(others, bundle, true);
  for (const Op& op : subject.bundle.program.ops) {
    const Accumulator* acc = AccumulatorOf(op);
    if (acc != nullptr && acc->policy != AccPolicy::kError)
      WidenAccumulator(OutputOf(op), bundle.program);
  }
  bundle.scales = subject.bundle.scales;
  return bundle;
}

std::size_t PositionOf(const Program& program, const std::string& tensor) {
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (OutputOf(program.ops[i]) == tensor) return i;
  }
  return 0;
}

// Whether a suspicion of a reader of `tensor` follows from what is stated for the tensor: its scale
// is off reciprocally, or its zero point is off as well.
bool Follows(const Suspect& tensor, const Suspect& reader) {
  constexpr double kReciprocal = 0.03;
  if (tensor.factor && reader.factor)
    return std::fabs(*reader.factor * *tensor.factor - 1) <= kReciprocal;
  return tensor.suspicion.cause == Cause::kZeroPointMismatch &&
         reader.suspicion.cause == Cause::kZeroPointMismatch;
}

// States what the operations around a tensor compute with.
void Restate(const DiagnosisSubject& subject, Suspect& suspect) {
  const std::string tensor = suspect.suspicion.tensor;
  Repair restate;
  if (suspect.factor) {
    const double factor = *suspect.factor;
    suspect.suspicion.cause = Cause::kScaleMismatch;
    suspect.suspicion.text = fmt::format(
        "the scale stated for it is {:.3g} times the one that its neighbours compute with", factor);
    restate.text = "state the scale that the operations around it compute with";
    restate.change = [tensor, factor](Bundle& bundle) {
      for (double& s : bundle.scales.at(tensor).scale) s /= factor;
    };
  } else {
    const std::vector<Integers> zeros =
        IntegersOf(*ProducerOf(subject.bundle.program, tensor), Role::kOutputZero);
    if (zeros.empty()) return;
    const std::vector<std::int32_t> zero(zeros.back().values.begin(), zeros.back().values.end());
    suspect.suspicion.text =
        "the zero point stated for it is not the one of the operations around it";
    restate.text = "state the zero point that the operations around it compute with";
    restate.change = [tensor, zero](Bundle& bundle) {
      TensorScale& scale = bundle.scales.at(tensor);
      scale.zero = zero;
      if (zero.size() > 1) scale.axis = ChannelAxis::kLast;
    };
  }
  suspect.suspicion.repairs = {std::move(restate)};
}

// A scale that was stated wrongly shows twice: in what computes the tensor, and reciprocally in
// what reads it. Then it is the statement that is at fault.
void MergeStatements(const DiagnosisSubject& subject, std::vector<Suspect>& suspects) {
  std::set<std::size_t> dropped;
  for (std::size_t i = 0; i < suspects.size(); ++i) {
    const std::vector<std::string> readers =
        ReadersOf(subject.bundle.program, suspects[i].suspicion.tensor);
    bool stated = false;
    for (std::size_t j = 0; j < suspects.size(); ++j) {
      const std::string& tensor = suspects[j].suspicion.tensor;
      if (j == i || dropped.contains(j) ||
          std::find(readers.begin(), readers.end(), tensor) == readers.end() ||
          !Follows(suspects[i], suspects[j])) {
        continue;
      }
      dropped.insert(j);
      stated = true;
    }
    if (stated) Restate(subject, suspects[i]);
  }
  for (auto j = dropped.rbegin(); j != dropped.rend(); ++j)
    suspects.erase(suspects.begin() + static_cast<std::ptrdiff_t>(*j));
}

// A contract without eps leaves its mark on many norms: one suspicion, of the one that loses most.
void MergeEps(std::vector<Suspect>& suspects) {
  const auto by_contract = [](const Suspect& s) { return s.by_contract; };
  const auto worst = std::find_if(suspects.begin(), suspects.end(), by_contract);
  if (worst == suspects.end()) return;
  const auto others = std::count_if(worst + 1, suspects.end(), by_contract);
  if (others > 0)
    worst->suspicion.evidence.push_back({"norms like it", static_cast<double>(others), ""});
  suspects.erase(std::remove_if(worst + 1, suspects.end(), by_contract), suspects.end());
}

// What one calibration does to many tensors: inputs that it does not cover, or an outlier in it.
// One suspicion of the worst tensor, whose repair gives all of them another range; a tensor that
// chases an outlier by itself is mended by itself.
void MergeRanges(Cause cause, const std::string& text, std::vector<Suspect>& suspects) {
  const auto is_one = [cause](const Suspect& s) { return s.suspicion.cause == cause; };
  const auto worst = std::find_if(suspects.begin(), suspects.end(), is_one);
  if (worst == suspects.end()) return;
  std::vector<Repair> changes;
  for (const Suspect& s : suspects) {
    if (is_one(s)) changes.push_back(s.suspicion.repairs.back());
  }
  const bool covered = cause == Cause::kCalibrationCoverage;
  if (!covered && changes.size() == 1) return;
  Repair all;
  all.text = text;
  all.change = [changes](Bundle& bundle) {
    // Between a tensor that is mended and one that is not yet, a ratio may have no multiplier.
    for (const Repair& repair : changes) {
      try {
        repair.change(bundle);
      } catch (const InputError&) {
        continue;
      }
    }
    for (const Repair& repair : changes) repair.change(bundle);
  };
  if (!covered) {
    worst->suspicion.repairs.push_back(std::move(all));
    return;
  }
  worst->suspicion.evidence.push_back(
      {"tensors out of their range", static_cast<double>(changes.size()), ""});
  worst->suspicion.repairs = {std::move(all)};
  suspects.erase(std::remove_if(worst + 1, suspects.end(), is_one), suspects.end());
}

}  // namespace

std::vector<Suspicion> RecogniseCauses(const DiagnosisSubject& subject, int threads) {
  const auto rederivation = std::make_shared<const Rederivation>(subject.model, subject.inputs);
  const Bundle remade = Remade(subject, *rederivation);
  const std::set<std::string> differing = DifferingOperations(subject.bundle, remade);
  const Probe probe = RunProbe(subject, subject.inputs, remade, differing, threads);
  std::vector<Suspect> suspects = LinearCauses(subject, probe, rederivation);
  const auto add = [&](std::vector<Suspect> more) {
    std::move(more.begin(), more.end(), std::back_inserter(suspects));
  };
  add(ArithmeticCauses(subject, remade, probe, rederivation));
  add(RangeCauses(subject, probe, rederivation, threads));
  add(CarriedCauses(subject, probe, rederivation));
  MergeStatements(subject, suspects);
  const Program& program = subject.bundle.program;
  std::stable_sort(suspects.begin(), suspects.end(), [&](const Suspect& a, const Suspect& b) {
    if (a.damage != b.damage) return a.damage > b.damage;
    return PositionOf(program, a.suspicion.tensor) < PositionOf(program, b.suspicion.tensor);
  });
  MergeRanges(Cause::kCalibrationCoverage,
              "calibrate on inputs like these: give every tensor the range that they need",
              suspects);
  MergeRanges(Cause::kChannelOutliers,
              "give every tensor that chases an outlier the range of these inputs", suspects);
  MergeEps(suspects);
  std::vector<Suspicion> suspicions;
  for (Suspect& suspect : suspects) suspicions.push_back(std::move(suspect.suspicion));
  return suspicions;
}

}  // namespace qsim::diagnose
