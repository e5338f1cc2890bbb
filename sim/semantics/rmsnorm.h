// RMS normalization in real numbers, and its integers between stated grids. docs/numerics.md
// section 6.9.
#pragma once

#include "golden/program/ops/rmsnorm.h"
#include "sim/config/section.h"
#include "sim/network/network.h"
#include "sim/semantics/activation.h"

namespace qsim::semantics {

// x / sqrt(mean(x^2) + eps) gamma for each row, or for each of so many groups of its columns, times
// the gate where there is one (null: none). beta is none of it.
FloatTensor ExactRmsnorm(const network::Norm& norm, const FloatTensor& x, const FloatTensor* gate,
                         std::int64_t groups = 1);

// The input's scales are powers of two of each other; the gate has one zero point (null: no gate).
// Throws InputError where a ratio of scales has no multiplier.
RmsnormOp DeriveRmsnorm(const network::LayerNorm& layer, const Numerics& numerics,
                        const Hardware& hardware, const Activation& input, const Activation* gate,
                        const Activation& out);

}  // namespace qsim::semantics
