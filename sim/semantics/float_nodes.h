// What each node of a network computes, in real numbers (float32).
//
// Every sum runs in one fixed order (k ascending), so a value depends on neither the batch, the
// number of threads, the cache sizes of the machine nor the compiler.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/io/tensors/float_tensor.h"
#include "sim/network/network.h"

namespace qsim::semantics {

// The node's tensor from those that it reads, in order. Rows are as many as the inputs have. Inputs
// of the network (Pixels, Activations) read nothing and have no function: InternalError.
FloatTensor Compute(const network::Node& node, std::span<const FloatTensor* const> inputs);

// The pieces, for what puts them together in other ways. A layer of so many rows, from `first` on.
FloatTensor FloatLinear(const network::Linear& layer, const FloatTensor& x, std::int64_t rows,
                        std::int64_t first);
FloatTensor FloatLayerNorm(const network::Norm& norm, const FloatTensor& x);
// Of [T, width] from a row on.
std::vector<double> MeanOfRows(const std::vector<double>& x, std::int64_t width,
                               std::int64_t first);

}  // namespace qsim::semantics
