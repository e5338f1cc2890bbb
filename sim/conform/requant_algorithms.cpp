#include "sim/conform/algorithms.h"

namespace qsim {

std::span<const ConformAlgorithm> RequantAlgorithms() { return {}; }

}  // namespace qsim
