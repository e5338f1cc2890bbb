// Hypotheses worth counting on a whole tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/explain/comparison.h"

namespace qsim::explain {

struct Candidate {
  Hypothesis point;
  int cost = 0;
  std::int64_t freedom = 0;
  Tally tally;
  std::uint64_t signature =
      0;  // equal for hypotheses that agree with the data at the same elements
};

// What a hypothesis of this cost must gain, in elements, to be preferred to the golden rule.
double Penalty(const Comparison& comparison, int cost);
inline double Score(const Comparison& comparison, const Candidate& candidate) {
  return candidate.tally.net() - Penalty(comparison, candidate.cost) -
         static_cast<double>(candidate.freedom);
}

// Best first; all single changes, and what combinations were tried and are worth keeping.
std::vector<Candidate> FindCandidates(const Comparison& comparison, const Sample& sample);

}  // namespace qsim::explain
