#include "tests/derivation/batteries.h"

namespace qsim::derivation {

std::span<const Battery> GeluBatteries() { return {}; }

}  // namespace qsim::derivation
