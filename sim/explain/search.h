// Searches the lattice for the hypothesis, or the division into two, that gives the actual outputs.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sim/explain/explanation.h"
#include "sim/explain/hypotheses.h"

namespace qsim::explain {

// `actual` has the model's size. `name` and `golden` are passed on. Deterministic, whatever the
// number of threads.
//
// Single changes first, all of them; then pairs of common ones, the best singles with anything, and
// triples on top of the best pairs, as long as nothing fits perfectly. Candidates are tried on
// samples, the best on the whole tensor. They are ranked by mismatches explained minus matches
// broken, and a simpler hypothesis wins unless the other one is better by more than a thousandth of
// the mismatches for each further change.
Explanation Explain(const Model& model, std::span<const std::int64_t> actual, std::string name,
                    std::string golden, int threads = 1);

}  // namespace qsim::explain
