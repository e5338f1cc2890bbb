#include "sim/conform/algorithms.h"

namespace qsim {

std::span<const ConformAlgorithm> ObserverAlgorithms() { return {}; }

}  // namespace qsim
