#include "golden/program/backend.h"

namespace qsim::golden {

void Backend::Run(const Op& op, OperationRun& run) {
  std::visit([&](const auto& o) { o.Run(run); }, op);
}

void GoldenBackend::Gemm(const OpId& /*id*/, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
                         const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  std::visit([&](const auto& view) { golden::Gemm(view, rhs, params, out, seen); }, lhs);
}

std::int64_t GoldenBackend::Requantize(const OpId& /*id*/, std::span<const std::int32_t> in,
                                       std::int64_t /*row_length*/, const RequantizeParams& params,
                                       std::span<std::int32_t> out) {
  return golden::Requantize(in, params, out);
}

std::int64_t GoldenBackend::ResidualAdd(const OpId& /*id*/, std::span<const std::int32_t> a,
                                        std::span<const std::int32_t> b,
                                        std::int64_t /*row_length*/,
                                        const ResidualAddParams& params,
                                        std::span<std::int32_t> out) {
  return golden::ResidualAdd(a, b, params, out);
}

}  // namespace qsim::golden
