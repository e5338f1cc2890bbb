// TensorRT's entropy calibration: S. Migacz, "8-bit Inference with TensorRT", GTC 2017.
#pragma once

#include <cstdint>
#include <span>

#include "sim/semantics/quantization.h"

namespace qsim::calibrate {

// How many levels the magnitudes get: 2^(bits - 1), as published for int8; 2^bits where all codes
// serve one sign (an unsigned type without zero point, or one with it and one-sided data).
std::int64_t EntropyLevels(const Section& section, const RealRange& seen);

// Where to clip a histogram of |x|, in bins. For i = levels .. bins: P is the first i bins, with
// everything beyond added to the last of them; Q is the first i bins without that, quantized to
// `levels` levels (bin j goes to level floor(j * levels / i)), each level's count spread evenly
// over its bins that are not empty; both are normalised. The result is i + 1/2 of the i with the
// least KL(P || Q), the smallest of those within 1e-10 of each other.
//
// P has mass where Q has none only if there is something to clip and the last bin is empty: that
// divergence is infinite, and the i is never taken. i = bins clips nothing and is always finite.
// With levels >= bins nothing is lost by keeping everything: bins + 1/2.
double EntropyThreshold(std::span<const std::int64_t> bins, std::int64_t levels);

}  // namespace qsim::calibrate
