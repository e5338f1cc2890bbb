// The product of golden/ops/gemm.h, fast: equal to it bit for bit.
#pragma once

#include "golden/ops/gemm.h"

namespace qsim::golden::kernels {

// As golden::Gemm. Columns whose accumulator no order of additions can
// leave are plain dot products; the others are golden::Gemm's.
void Gemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen = nullptr);
void Gemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen = nullptr);

}  // namespace qsim::golden::kernels
