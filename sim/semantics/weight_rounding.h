// Weights rounded so that their errors cancel: `rounding: squant`. docs/numerics.md section 3.9.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "golden/ops/requantize.h"
#include "sim/namespaces.h"

namespace qsim::semantics {

// One output channel: `exact` are its weights in steps, the zero point added, `codes` the nearest
// codes to them within `range`. Moves as few codes as possible, each by one step at most and those
// of the largest errors first, until the errors of each kernel and of the channel sum to half a
// step or less, as far as the range allows. `kernel`: columns of one kernel, a divisor of the
// row's.
void CancelErrors(std::span<const double> exact, std::size_t kernel, QuantRange range,
                  std::span<std::int8_t> codes);

}  // namespace qsim::semantics
