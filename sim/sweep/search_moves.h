// What a search tries, one change after the other: docs/calibration.md, "Search".
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/plan/plan.h"
#include "sim/namespaces.h"

namespace qsim::sweep {

struct SearchMove {
  std::string name;                   // for a person: "every norm smoothed, 0.5"
  std::vector<std::string> settings;  // as for --set, without a block
  // All of it or nothing: what hardware does one way everywhere, or a tensor outside the blocks.
  // Otherwise each block takes it or not.
  bool everywhere = false;
};

// In the order in which they are tried, from what the plan of the base configuration holds: what
// most networks gain most by first.
std::vector<SearchMove> MovesFor(const Plan& plan);

}  // namespace qsim::sweep
