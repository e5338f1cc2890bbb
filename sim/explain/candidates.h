// Hypotheses worth counting on a whole tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/explain/trial.h"

namespace qsim::explain {

struct Candidate {
  Point point;
  int cost = 0;
  Tally tally;
  std::uint64_t signature =
      0;  // equal for hypotheses that agree with the data at the same elements
};

// What a hypothesis of this cost must gain, in elements, to be preferred to the golden rule.
double Penalty(const Trial& trial, int cost);
inline double Score(const Trial& trial, const Candidate& candidate) {
  return candidate.tally.net() - Penalty(trial, candidate.cost);
}

// Best first; all single changes, and what combinations were tried and are worth keeping.
std::vector<Candidate> FindCandidates(const Trial& trial, const Sample& sample);

}  // namespace qsim::explain
