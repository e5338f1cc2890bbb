#include "sim/conform/algorithms.h"

namespace qsim {

std::span<const ConformAlgorithm> AttentionAlgorithms() { return {}; }

}  // namespace qsim
