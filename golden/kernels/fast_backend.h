// The backend that runs by default: every operation equals the specification's bit for bit, and
// the products are fast.
#pragma once

#include "golden/program/backend.h"

namespace qsim::golden {

class FastBackend final : public GoldenBackend {
 public:
  void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
            const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) override;
};

}  // namespace qsim::golden
