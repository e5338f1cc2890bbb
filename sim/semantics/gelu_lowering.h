// The constants of each GELU for a real input scale, and the table of any function.
// docs/numerics.md sections 7 and 12.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "golden/ops/gelu.h"
#include "sim/semantics/quantization.h"

namespace qsim::semantics {

// What each input code, or each 2^step_bits-th and one beyond the last, becomes: the function of
// the real number it stands for, quantized once.
std::vector<std::int32_t> TableOf(const std::function<double(double)>& function, Quantization in,
                                  QuantRange in_range, Quantization out, QuantRange out_range,
                                  int step_bits = 0);

// The finest input scale for which an algorithm has constants; 0: any.
double FinestGeluInput(GeluKind kind);

// Sets the constants of an algorithm (any but table) for inputs s (q - input_zero), and
// returns the real scale of the algorithm's wide result y; negative for ibert and ita.
double SetGeluConstants(double s, GeluParams& params);

// The size of that scale; of a table, which has none, 1.
double GeluUnit(GeluKind kind, double s);

}  // namespace qsim::semantics
