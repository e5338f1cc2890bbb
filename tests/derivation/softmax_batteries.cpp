#include "tests/derivation/batteries.h"

namespace qsim::derivation {

std::span<const Battery> SoftmaxBatteries() { return {}; }

}  // namespace qsim::derivation
