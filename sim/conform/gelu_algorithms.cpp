#include "sim/conform/algorithms.h"

namespace qsim {

std::span<const ConformAlgorithm> GeluAlgorithms() { return {}; }

}  // namespace qsim
