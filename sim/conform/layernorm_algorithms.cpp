#include "sim/conform/algorithms.h"

namespace qsim {

std::span<const ConformAlgorithm> LayernormAlgorithms() { return {}; }

}  // namespace qsim
