// A suspicion while its causes are weighed against each other, and how one is put down.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/finding.h"

namespace qsim::diagnose {

struct Suspect {
  Suspicion suspicion;
  double damage = 0;  // noise power beside the signal's, at the suspicious tensor
  // Where a scale is off: what is computed beside what is stated, one factor for the tensor.
  std::optional<double> factor;
  bool by_contract = false;  // which leaves eps out of every normalisation
};

inline double Db(double signal, double noise) {
  constexpr double kMost = 200;  // where there is no noise
  if (noise <= 0 || signal <= 0) return signal <= 0 ? 0 : kMost;
  return std::min(kMost, 10 * std::log10(signal / noise));
}

// Makes an operation anew; shared by the repairs, which outlive the search.
using SharedRederivation = std::shared_ptr<const Rederivation>;

// An accumulator that nothing overflows.
inline void WidenAccumulator(const std::string& tensor, Program& program) {
  AccumulatorOf(*ProducerOf(program, tensor))->bits = 32;
  for (TensorInfo& info : program.tensors) {
    if (info.name == tensor) info.range = {INT32_MIN, INT32_MAX};
  }
}

// What searches have in common: the tensor at hand, and the suspicions so far.
class CauseSearch {
 public:
  CauseSearch(const DiagnosisSubject& subject, SharedRederivation rederivation)
      : subject_(subject), rederivation_(std::move(rederivation)) {}

 protected:
  Suspect& Report(Cause cause, std::string text, std::vector<Evidence> evidence, double damage,
                  std::optional<double> factor = std::nullopt) {
    found_.push_back({{cause, tensor_, std::move(text), std::move(evidence), {}}, damage, factor});
    return found_.back();
  }
  void AddRepair(std::string text, std::function<void(Bundle&)> change) {
    found_.back().suspicion.repairs.push_back({std::move(text), {}, std::move(change)});
  }
  // What the configuration can say is tried before the bundle is changed.
  void AddSettings(std::string text, std::vector<std::string> settings) {
    if (subject_.config == nullptr || settings.empty()) return;
    auto& repairs = found_.back().suspicion.repairs;
    repairs.insert(repairs.begin(), {std::move(text), std::move(settings), {}});
  }

  const DiagnosisSubject& subject_;
  SharedRederivation rederivation_;
  std::string tensor_;
  std::vector<Suspect> found_;
};

}  // namespace qsim::diagnose
