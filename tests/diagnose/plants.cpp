#include "tests/diagnose/plants.h"

#include "tests/diagnose/plant_tools.h"

namespace qsim::testing {

const std::vector<PlantKind>& PlantKinds() {
  static const std::vector<PlantKind> kKinds = [] {
    std::vector<PlantKind> all;
    for (auto* kinds :
         {&WeightKinds, &BiasKinds, &ArithmeticKinds, &TableKinds, &InputKinds, &BundleKinds}) {
      for (PlantKind& kind : (*kinds)()) all.push_back(std::move(kind));
    }
    return all;
  }();
  return kKinds;
}

}  // namespace qsim::testing
