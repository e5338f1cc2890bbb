// Two rules in one tensor: which ones, and where each of them applies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/explain/candidates.h"
#include "sim/explain/explanation.h"

namespace qsim::explain {

struct Mixture {
  std::vector<Part> parts;
  std::int64_t explained = 0;  // counted over the whole tensor
  std::int64_t broken = 0;
  int cost = 0;
};

// The best division of the tensor by one feature (a range along an axis, a residue, a sign, ...)
// into two parts with a rule each, one of which may be the golden one. nullopt where no division
// beats one rule alone.
std::optional<Mixture> FindRegions(const Comparison& comparison, const Sample& sample,
                                   const std::vector<Candidate>& candidates);

// Rules that explain the mismatches together, each element under any of them or the golden one.
// nullopt unless they explain four fifths of the mismatches, and each of them is right at a
// twentieth or more of the elements where it differs from the golden rule: random errors are not
// covered by that.
std::optional<Mixture> FindCover(const Comparison& comparison, const Sample& sample,
                                 const std::vector<Candidate>& candidates);

}  // namespace qsim::explain
