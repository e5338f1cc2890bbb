// What a failing assertion, $fatal or $finish in the RTL does: it is noted, and the driver throws
// after the evaluation, so that the executor can name the tap and the tile. Every source of the
// models includes this file first: Verilator's runtime prints with RtlPrint (VL_PRINTF).
#pragma once

#include <string>

namespace qsim::cosim {

// The first failure on this thread since the last call; empty when there was none.
std::string TakeRtlFailure();

// Keeps what an assertion has to say; nothing of it goes to stdout.
[[gnu::format(printf, 1, 2)]] void RtlPrint(const char* format, ...);

}  // namespace qsim::cosim
