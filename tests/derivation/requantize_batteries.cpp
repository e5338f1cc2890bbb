#include "tests/derivation/batteries.h"

namespace qsim::derivation {

std::span<const Battery> RequantizeBatteries() { return {}; }

}  // namespace qsim::derivation
