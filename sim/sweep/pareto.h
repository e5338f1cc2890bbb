// Which points of a sweep no other point beats.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/sweep/cost.h"

namespace qsim::sweep {

// What one point came to. A point that cannot be lowered to integers has `refused` and no figures.
struct SweepResult {
  std::int64_t point = 0;       // its place in the sweep; 0 is the base configuration
  double qsnr_db = 0;           // at the output; +infinity when equal to float
  std::int64_t correct = 0;     // images whose first class is the label's
  std::int64_t same_class = 0;  // images whose first class is float's
  double bits_per_token = 0;    // of sequences of tokens, by logits
  ProgramCost cost;
  std::string refused;  // one line
  bool operator==(const SweepResult&) const = default;
};

// What "better" means.
enum class SweepObjective : std::uint8_t { kQsnr, kTop1, kBits };

// The points, by their place in `results`, that no other point equals or beats in the objective and
// in every cost while beating it in one of them; of points that are alike in all, the first. Best
// objective first, then least cost. Refused points are never on it.
std::vector<std::size_t> ParetoFront(std::span<const SweepResult> results,
                                     SweepObjective objective);

// Whether a is to be preferred to b: by objective, then tables, multiplier, weights, and the
// earlier point.
bool Better(const SweepResult& a, const SweepResult& b, SweepObjective objective);

}  // namespace qsim::sweep
