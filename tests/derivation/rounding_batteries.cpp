#include "tests/derivation/batteries.h"

namespace qsim::derivation {

std::span<const Battery> RoundingBatteries() { return {}; }

}  // namespace qsim::derivation
