// The product of golden/ops/gemm.h, fast: equal to it bit for bit. docs/numerics.md section 3.
#pragma once

#include <functional>

#include "golden/kernels/product.h"

namespace qsim::golden::kernels {

// A weight, packed for this machine once and for all products with it.
class PackedWeight {
 public:
  // For products of numbers, not of log2 codes.
  explicit PackedWeight(MatrixView<const std::int8_t> rhs);
  const RightOperand& operand() const { return operand_; }

 private:
  RightOperand operand_;
};

// Takes some columns of a product: `tile` holds, row by row with `stride` between them, columns
// first .. first + count - 1.
using TileSink = std::function<void(std::int64_t first, std::int64_t count,
                                    const std::int32_t* tile, std::int64_t stride)>;

// As golden::Gemm. Where no order of additions can leave the accumulator, and under `wrap` where
// nobody watches, sums are taken in any order; else k by k, columns side by side. `packed`: rhs,
// where that has been done before.
void Gemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen = nullptr,
          const PackedWeight* packed = nullptr);
void Gemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen = nullptr,
          const PackedWeight* packed = nullptr);

// The same, handed on panel by panel instead of stored. Products whose accumulators need no watch:
// returns false, and has done nothing, where they do.
bool GemmInto(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
              const GemmParams& params, const TileSink& sink, const PackedWeight* packed = nullptr);
bool GemmInto(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
              const GemmParams& params, const TileSink& sink, const PackedWeight* packed = nullptr);

}  // namespace qsim::golden::kernels
