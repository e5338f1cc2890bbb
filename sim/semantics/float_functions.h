// What float nodes compute along rows and element by element, with vectors of independent elements:
// on each of them the operations of one at a time, in their order, and so the same bytes for every
// instruction set.
#pragma once

#include <cstddef>
#include <span>

namespace qsim::semantics {

// e^(x - max) over its sum. At least one score.
void SoftmaxRow(std::span<const float> scores, std::span<float> out);

// Rows of so many channels to mean 0 and variance 1 in double, then times gamma plus beta.
void LayerNormRows(std::span<const float> x, std::span<const float> gamma,
                   std::span<const float> beta, double eps, std::span<float> out);

// Of each element, statistics::Gelu in double.
void GeluEach(std::span<float> x);

}  // namespace qsim::semantics
