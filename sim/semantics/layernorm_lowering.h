// The constants of a layer norm, between two stated grids. docs/numerics.md section 6.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/program/program.h"
#include "sim/config/section.h"
#include "sim/network/network.h"
#include "sim/semantics/activation.h"

namespace qsim::semantics {

// The real scale of I-BERT's y, sqrt(C) / 2^30, for a gamma of 1.
double LayernormUnit(std::size_t channels);
// For inputs whose channels are powers of two apart: by how much each is shifted to have the
// smallest scale; empty where all have it.
std::vector<std::int32_t> ShiftsToSmallest(const std::vector<double>& scales);
// The least k for which the sum over the channels of (v >> k)^2 is within 62 bits: v has so many
// bits before those shifts.
int ShiftOfSquares(int bits, const std::vector<std::int32_t>& shifts, std::size_t channels);
// The constant E of a sum of squares over so many channels of an input, counted in units of 4^shift,
// or 0 where eps is ignored. Section 6.10. Throws InputError, which names `tensor`, where the input's
// steps are so small that no program can hold it.
std::int64_t EpsOfSquares(double eps, std::size_t channels, LayernormEps choice,
                          const Activation& input, int shift, const std::string& tensor);
// A (nearly) dead gamma is raised until the bias, counted in its scale, fits (an RMS norm has
// none): `raised`, if not null, receives the channels.
std::vector<double> EffectiveGamma(const network::Norm& norm,
                                   std::vector<std::size_t>* raised = nullptr);

// Throws InputError, which names the section's `origin`, where the algorithm cannot take the
// input's scales.
LayernormOp DeriveLayernorm(const network::Norm& norm, const Numerics& numerics,
                            const Hardware& hardware, const Activation& input,
                            const Activation& out, const std::string& origin);

}  // namespace qsim::semantics
