// How much of its size each channel of a tensor hands to the weights that read it. docs/numerics.md
// section 3.7.
#pragma once

#include <vector>

#include "sim/network/network.h"
#include "sim/semantics/quantization.h"

namespace qsim::semantics {

// |x|^a / |w|^(1 - a) for each channel, a = `exponent`, or 1 with an exponent of 0; then, of the
// share `outliers` whose x is the largest by these factors, as many times that as x exceeds what is
// the largest of the others. The largest factor is 1. x is from the channels' ranges, w from the
// columns of all layers. Neither is less than 1/1024 of its largest, so that a (nearly) dead
// channel decides nothing.
std::vector<double> SmoothingFactors(const std::vector<RealRange>& channels,
                                     const std::vector<network::Linear>& layers, double exponent,
                                     double outliers);

}  // namespace qsim::semantics
