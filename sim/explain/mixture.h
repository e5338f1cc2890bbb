// Several rules in one tensor: which ones, and where each of them applies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/explain/candidates.h"
#include "sim/explain/explanation.h"
#include "sim/explain/where.h"

namespace qsim::explain {

struct Mixture {
  std::vector<Part> parts;
  std::int64_t explained = 0;  // counted over the whole tensor
  std::int64_t broken = 0;
  int cost = 0;
  std::int64_t freedom = 0;
};

// The best division of the tensor by one feature (ranges along an axis, a residue, a sign, `where`
// the mismatches are, ...) into two parts with a rule each, one of which may be the golden one; and
// of the second into further ones, where other rules explain more of it.
// nullopt where no division beats one rule alone.
std::optional<Mixture> FindRegions(const Comparison& comparison, const Sample& sample,
                                   const std::vector<Candidate>& candidates,
                                   const std::optional<Where>& where);

}  // namespace qsim::explain
