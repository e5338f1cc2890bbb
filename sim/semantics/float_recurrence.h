// What carries from row to row, in real numbers (float32): the causal convolution and the linear
// recurrence. Each element's sums run in one order, so that a sequence may be cut anywhere: with
// what the piece before left, the rows of a piece have the same bytes.
#pragma once

#include <span>

#include "sim/io/tensors/float_tensor.h"
#include "sim/network/network.h"

namespace qsim::semantics {

// Sums over the taps, the oldest row first, and the bias last.
FloatTensor FloatCausalConvolution(const network::CausalConvolution& convolution,
                                   const FloatTensor& x, const FloatTensor& past);

// Inputs as the functions have them: query (of the recurrence alone), key, value, decay, past.
FloatTensor FloatRecurrence(const network::Recurrence& recurrence,
                            std::span<const FloatTensor* const> inputs);
FloatTensor FloatFinalState(const network::FinalState& state,
                            std::span<const FloatTensor* const> inputs);
// Of all its states, what is largest in magnitude of each element.
FloatTensor FloatStatePeak(const network::FinalState& state,
                           std::span<const FloatTensor* const> inputs);

}  // namespace qsim::semantics
