#include "golden/kernels/fast_backend.h"

#include <variant>

#include "golden/kernels/gemm.h"

namespace qsim::golden {

void FastBackend::Gemm(const OpId& /*id*/, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
                       const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  std::visit([&](const auto& view) { kernels::Gemm(view, rhs, params, out, seen); }, lhs);
}

}  // namespace qsim::golden
