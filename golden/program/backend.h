// Who computes an operation. The executor walks a program and hands each operation to a backend:
// the golden one calls golden/ops, the RTL one drives Verilated modules. Calls carry plain integers
// and views; they know nothing of programs, files or scales.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "golden/ops/gelu.h"
#include "golden/ops/gemm.h"
#include "golden/ops/layernorm.h"
#include "golden/ops/requantize.h"
#include "golden/ops/residual_add.h"
#include "golden/ops/softmax.h"

namespace qsim {

// Which operation this is: its output tensor's name, the image, and the head for per-head products.
struct OpId {
  std::string_view tap;
  std::int64_t image = 0;
  std::int64_t head = 0;
};

using LhsView = std::variant<MatrixView<const std::int8_t>, MatrixView<const std::uint8_t>>;

class Backend {
 public:
  virtual ~Backend() = default;

  // One matrix product: a linear layer, or one head of QK^T or of attention times V.
  // `seen` as in qsim::Gemm; a backend that cannot see partial sums leaves it alone.
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

  // One row. Without RTL for these, a backend inherits the golden arithmetic.
  virtual std::int64_t Softmax(const OpId& id, std::span<const std::int32_t> scores,
                               const SoftmaxParams& params, std::span<std::int32_t> out);
  virtual std::int64_t Layernorm(const OpId& id, std::span<const std::int32_t> x,
                                 const LayernormParams& params, std::span<std::int32_t> out);

  // A whole tensor; params.row_length is its last axis. Inherited likewise.
  virtual std::int64_t Gelu(const OpId& id, std::span<const std::int32_t> in,
                            const GeluParams& params, std::span<std::int32_t> out);
};

class GoldenBackend final : public Backend {
 public:
  void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
            const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) override;
  std::int64_t Requantize(const OpId& id, std::span<const std::int32_t> in, std::int64_t row_length,
                          const RequantizeParams& params, std::span<std::int32_t> out) override;
  std::int64_t ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                           std::span<const std::int32_t> b, std::int64_t row_length,
                           const ResidualAddParams& params, std::span<std::int32_t> out) override;
};

}  // namespace qsim
