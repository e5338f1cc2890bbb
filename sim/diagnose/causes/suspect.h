// A suspicion while its causes are weighed against each other.
#pragma once

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/diagnose/finding.h"
#include "sim/diagnose/relower.h"

namespace qsim {

struct Suspect {
  Suspicion suspicion;
  double damage = 0;  // noise power beside the signal's, at the suspicious tensor
  // Where a scale is off: what is computed beside what is stated, one factor for the tensor.
  std::optional<double> factor;
};

inline double Db(double signal, double noise) {
  constexpr double kMost = 200;  // where there is no noise
  if (noise <= 0 || signal <= 0) return signal <= 0 ? 0 : kMost;
  return std::min(kMost, 10 * std::log10(signal / noise));
}

// Makes an operation anew; shared by the repairs, which outlive the search.
using SharedRelowering = std::shared_ptr<const Relowering>;

inline Repair RemakeRepair(const SharedRelowering& relowering, const std::string& tap,
                           std::string text) {
  return {
      std::move(text), {}, [relowering, tap](Bundle& bundle) { relowering->Remake(tap, bundle); }};
}

}  // namespace qsim
