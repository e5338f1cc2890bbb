#include "sim/conform/algorithms.h"

namespace qsim {

std::span<const ConformAlgorithm> SoftmaxAlgorithms() { return {}; }

}  // namespace qsim
