#include "sim/diagnose/causes/causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/diagnose/causes/arithmetic_causes.h"
#include "sim/diagnose/causes/linear_causes.h"
#include "sim/diagnose/causes/probe.h"
#include "sim/diagnose/causes/range_causes.h"
#include "sim/error.h"

namespace qsim {
namespace {

// Every operation but the linear layers as the stated scales ask for.
Bundle Remade(const DiagnosisSubject& subject, const Relowering& relowering) {
  Bundle bundle = subject.bundle;
  for (const Op& op : subject.bundle.program.ops) {
    if (std::holds_alternative<GemmOp>(op)) continue;
    try {
      relowering.Remake(OutputOf(op), bundle);
    } catch (const InputError&) {
      // A ratio without a multiplier: the range of one of its tensors is at fault.
      *ProducerOf(bundle.program, OutputOf(op)) = op;
    }
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

// A scale that was stated wrongly shows twice: in what computes the tensor, and reciprocally in
// what reads it. Then it is the statement that is at fault.
void MergeStatements(const DiagnosisSubject& subject, std::vector<Suspect>& suspects) {
  constexpr double kReciprocal = 0.03;
  std::set<std::size_t> dropped;
  for (std::size_t i = 0; i < suspects.size(); ++i) {
    Suspect& first = suspects[i];
    if (!first.factor) continue;
    const std::string tensor = first.suspicion.tensor;
    const std::vector<std::string> readers = ReadersOf(subject.bundle.program, tensor);
    bool stated = false;
    for (std::size_t j = 0; j < suspects.size(); ++j) {
      const Suspect& other = suspects[j];
      if (j == i || !other.factor || dropped.contains(j)) continue;
      if (std::find(readers.begin(), readers.end(), other.suspicion.tensor) == readers.end())
        continue;
      if (std::fabs(*other.factor * *first.factor - 1) > kReciprocal) continue;
      dropped.insert(j);
      stated = true;
    }
    if (!stated) continue;
    const double factor = *first.factor;
    first.suspicion.cause = Cause::kScaleMismatch;
    first.suspicion.text = fmt::format(
        "the scale stated for it is {:.3g} times the one that its neighbours compute with", factor);
    Repair restate;
    restate.text = "state the scale that the operations around it compute with";
    restate.change = [tensor, factor](Bundle& bundle) {
      for (double& s : bundle.scales.at(tensor).scale) s /= factor;
    };
    first.suspicion.repairs = {std::move(restate)};
  }
  for (auto j = dropped.rbegin(); j != dropped.rend(); ++j)
    suspects.erase(suspects.begin() + static_cast<std::ptrdiff_t>(*j));
}

// Inputs that a calibration does not cover leave their mark on many tensors: one suspicion.
void MergeCoverage(std::vector<Suspect>& suspects) {
  const auto is_coverage = [](const Suspect& s) {
    return s.suspicion.cause == Cause::kCalibrationCoverage;
  };
  const auto worst = std::find_if(suspects.begin(), suspects.end(), is_coverage);
  if (worst == suspects.end()) return;
  std::vector<Repair> changes;
  for (const Suspect& s : suspects) {
    if (is_coverage(s)) changes.push_back(s.suspicion.repairs.back());
  }
  worst->suspicion.evidence.push_back(
      {"tensors out of their range", static_cast<double>(changes.size()), ""});
  Repair all;
  all.text = "calibrate on inputs like these: give every tensor the range that they need";
  all.change = [changes](Bundle& bundle) {
    for (const Repair& repair : changes) repair.change(bundle);
  };
  worst->suspicion.repairs = {std::move(all)};
  const auto rest = std::remove_if(worst + 1, suspects.end(), is_coverage);
  suspects.erase(rest, suspects.end());
}

}  // namespace

std::vector<Suspicion> RecogniseCauses(const DiagnosisSubject& subject, int threads) {
  const auto relowering = std::make_shared<const Relowering>(subject.model, subject.inputs);
  const Bundle remade = Remade(subject, *relowering);
  const std::set<std::string> differing = DifferingOperations(subject.bundle, remade);
  const Probe probe = RunProbe(subject, subject.inputs, remade, differing, threads);
  std::vector<Suspect> suspects = LinearCauses(subject, probe, relowering);
  const auto add = [&](std::vector<Suspect> more) {
    std::move(more.begin(), more.end(), std::back_inserter(suspects));
  };
  add(ArithmeticCauses(subject, remade, probe, relowering));
  add(RangeCauses(subject, probe, relowering, threads));
  MergeStatements(subject, suspects);
  const Program& program = subject.bundle.program;
  std::stable_sort(suspects.begin(), suspects.end(), [&](const Suspect& a, const Suspect& b) {
    if (a.damage != b.damage) return a.damage > b.damage;
    return PositionOf(program, a.suspicion.tensor) < PositionOf(program, b.suspicion.tensor);
  });
  MergeCoverage(suspects);
  std::vector<Suspicion> suspicions;
  for (Suspect& suspect : suspects) suspicions.push_back(std::move(suspect.suspicion));
  return suspicions;
}

}  // namespace qsim
