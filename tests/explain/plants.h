// Faults planted at random places, of random sizes and parameters: what an implementation gives,
// and what has to be said of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/explain/explanation.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

struct Plant {
  Explanation explanation;
  // Any of these, in the sentence or (all mismatches being explained) in a tie.
  std::vector<std::string> right;
  bool unexplained_is_right = false;  // where `right` says where the mismatches are
  std::string parameters;             // for a failure
};

struct Kind {
  const char* name;
  std::function<Plant(SeededRandom&)> plant;
};

const std::vector<Kind>& RequantKinds();
const std::vector<Kind>& ProductKinds();

}  // namespace qsim::testing
