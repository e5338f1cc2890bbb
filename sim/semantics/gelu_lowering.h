// The constants of each GELU for a real input scale. docs/numerics.md section 7.
#pragma once

#include <cstdint>
#include <vector>

#include "golden/ops/gelu.h"
#include "sim/semantics/quantization.h"

namespace qsim {

// What each input code becomes: GELU of the real number it stands for, quantized once.
std::vector<std::int32_t> GeluTable(Quantization in, QuantRange in_range, Quantization out,
                                    QuantRange out_range);

// Sets the constants of an algorithm (any but table) for inputs s (q - input_zero), and
// returns the real scale of the algorithm's wide result y; negative for ibert and ita.
double SetGeluConstants(double s, GeluParams& params);

}  // namespace qsim
