// What the RTL's requantizer is told for each named scheme. docs/rtl.md, "Named schemes".
#pragma once

#include <vector>

#include "golden/ops/requantize.h"
#include "sim/namespaces.h"

namespace qsim::cosim {

// One entry for all channels, or one per channel, in all three alike.
struct RequantizePorts {
  Rounding rounding = Rounding::kHalfUp;
  bool double_rounding = false;
  std::vector<Multiplier> scale = {};
  std::vector<std::int32_t> zero = {};
  std::vector<std::int64_t> addend = {};
};

// Throws std::invalid_argument where the parameters fail CheckRequantizeParams, and for
// tflite_double where its saturation at 2^31 - 1, which the RTL does not have, could show: with a
// shift below 31, a negative zero point and an output range that reaches 2^31 - 1 plus that.
RequantizePorts PortsOf(const RequantizeParams& params);

}  // namespace qsim::cosim
