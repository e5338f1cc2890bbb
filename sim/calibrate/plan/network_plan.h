// The plans of everything that one calibration quantizes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/calibrate/plan/plan.h"

namespace qsim {

// mlp only in the scopes that reach it.
struct BlockPlans {
  std::int64_t block = 0;
  AttentionPlan attention;
  std::optional<MlpPlan> mlp;
};

struct NetworkPlan {
  std::vector<BlockPlans> blocks;  // ascending
  std::optional<EndsPlan> ends;    // scope model
};

}  // namespace qsim
