// Which inner steps, done otherwise, the outputs ask for.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/explain/inner_steps.h"
#include "sim/explain/limits.h"

namespace qsim::explain {

struct StepSubject {
  const InnerPieces& pieces;
  const Op& op;
  std::span<const std::int64_t> golden, actual;  // of the whole output, [pieces.Count() * ...]
  OutputRange range;
  std::int64_t width = 1;  // of a row
  int threads = 1;         // the result does not depend on it
  // Of the elements that differ, so many, evenly spread.
  std::function<std::vector<std::int64_t>(std::size_t)> some_mismatches;
};

// How far-fetched several steps at once are.
inline int CostOfSteps(std::span<const InnerStep> steps) {
  return steps.front().cost + 2 * static_cast<int>(steps.size() - 1);
}

// One step, or two of different sites where none does alone; the best first, at most two dozen.
// They are tried on a few pieces first, a long sequence on its first rows.
std::vector<std::vector<InnerStep>> FindSteps(const StepSubject& subject);

}  // namespace qsim::explain
