// Faults planted at random: each kind at any operation that can have it, of any size, whatever the
// network. What the right answer is, is known where it is planted.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/diagnose/finding.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

struct Planting {
  const network::Network& model;
  const ModelInputs& inputs;
  SeededRandom& random;
  Bundle& bundle;
};

struct Planted {
  std::string what;                  // in words, with place and size
  std::set<std::string> operations;  // each of which is the right one
  std::set<Cause> causes;
  std::string says;  // a regular expression that a true sentence holds
};

struct PlantKind {
  std::string name;
  // Nothing where the network has no place for it.
  std::function<std::optional<Planted>(Planting& p)> plant;
};
const std::vector<PlantKind>& PlantKinds();

}  // namespace qsim::testing
