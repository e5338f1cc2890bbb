#include "sim/conform/algorithms.h"

namespace qsim {

std::span<const ConformAlgorithm> MatmulRequantAlgorithms() { return {}; }

}  // namespace qsim
