// What a failing assertion, $fatal or $finish in the RTL does: it is noted, and the driver throws
// after the evaluation, so that the executor can name the tap and the tile.
#pragma once

#include <string>

namespace qsim::cosim {

// The first failure on this thread since the last call; empty when there was none.
std::string TakeRtlFailure();

}  // namespace qsim::cosim
