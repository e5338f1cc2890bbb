// All batteries, in a fixed order.
#pragma once

#include <vector>

#include "tests/derivation/comparison.h"

namespace qsim::derivation {

inline std::vector<Battery> AllBatteries() {
  std::vector<Battery> all;
  for (const auto batteries : {RoundingBatteries, RequantizeBatteries, SoftmaxBatteries,
                               LayernormBatteries, GeluBatteries}) {
    const std::span<const Battery> family = batteries();
    all.insert(all.end(), family.begin(), family.end());
  }
  return all;
}

}  // namespace qsim::derivation
