// The matrix product of the float side.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::semantics {

// A matrix in memory: element [r, c] is data[r * down + c * right].
struct StridedMatrix {
  const float* data = nullptr;
  std::int64_t down = 0, right = 0;
};

// out[M, N] = a[M, K] * b[K, N] + bias[N] (bias may be empty), each element summed with k ascending
// from 0 and the bias added last; nothing is fused. The same bytes for every instruction set.
void FloatMatmul(const float* a, std::int64_t a_stride, const StridedMatrix& b,
                 std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k,
                 float* out, std::int64_t out_stride);

}  // namespace qsim::semantics
