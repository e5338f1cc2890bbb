// Who computes an operation. The executor walks a program and hands each operation to a backend:
// the golden one calls golden/ops, the RTL one drives Verilated modules.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "golden/program/operation.h"

namespace qsim::golden {

// Which operation this is: its output tensor's name, the image, and the head for per-head products.
struct OpId {
  std::string_view tap;
  std::int64_t image = 0;
  std::int64_t head = 0;
};

using LhsView = std::variant<MatrixView<const std::int8_t>, MatrixView<const std::uint8_t>>;

// One matrix product: a linear layer, or one head of a product of tensors.
struct ProductOperands {
  LhsView lhs;
  MatrixView<const std::int8_t> rhs;
  GemmParams params;
};

// What executors differ in are the three calls below, which know nothing of programs. Everything
// else is golden arithmetic, unless a backend takes the whole operation over.
class Backend {
 public:
  virtual ~Backend() = default;

  // A whole operation, from the values that exist to its output.
  virtual void Run(const Op& op, OperationRun& run);

  // One matrix product: a linear layer, or one head of QK^T or of attention times V.
  // `seen` as in golden::Gemm; a backend that cannot see partial sums leaves it alone.
  virtual void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
                    const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) = 0;

  // `row_length` is the last axis: hardware sees the tensor as rows of that length.
  // Both return how many elements the clamp changed.
  virtual std::int64_t Requantize(const OpId& id, std::span<const std::int32_t> in,
                                  std::int64_t row_length, const RequantizeParams& params,
                                  std::span<std::int32_t> out) = 0;
  virtual std::int64_t ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                                   std::span<const std::int32_t> b, std::int64_t row_length,
                                   const ResidualAddParams& params,
                                   std::span<std::int32_t> out) = 0;
};

// The specification itself.
class GoldenBackend : public Backend {
 public:
  void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
            const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) override;
  std::int64_t Requantize(const OpId& id, std::span<const std::int32_t> in, std::int64_t row_length,
                          const RequantizeParams& params, std::span<std::int32_t> out) override;
  std::int64_t ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                           std::span<const std::int32_t> b, std::int64_t row_length,
                           const ResidualAddParams& params, std::span<std::int32_t> out) override;
};

}  // namespace qsim::golden
