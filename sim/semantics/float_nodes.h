// What each node of a network computes, in real numbers (float32).
//
// Every sum runs in one fixed order (k ascending), so a value depends on neither the batch, the
// number of threads, the cache sizes of the machine nor the compiler.
#pragma once

#include <cstdint>
#include <span>

#include "sim/io/tensors/float_tensor.h"
#include "sim/network/network.h"

namespace qsim::semantics {

// The node's tensor from those that it reads, in order. Rows are as many as the inputs have. Inputs
// of the network (Pixels, Activations) read nothing and have no function: InternalError.
FloatTensor Compute(const network::Node& node, std::span<const FloatTensor* const> inputs);

// The pieces, for what puts them together in other ways.
FloatTensor FloatLinear(const network::Linear& layer, const FloatTensor& x);
FloatTensor FloatLayerNorm(const network::Norm& norm, const FloatTensor& x);
void FloatSoftmaxRow(std::span<const float> scores, std::span<float> out);

// out[M, N] = a[M, K] * b[K, N] + bias[N] (bias may be empty), each element summed with k
// ascending.
void FloatMatmul(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                 std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k,
                 float* out, std::int64_t out_stride);

}  // namespace qsim::semantics
