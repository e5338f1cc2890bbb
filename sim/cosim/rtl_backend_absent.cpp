// rtl_backend.h in a build without RTL.
#include "sim/cosim/rtl_backend.h"
#include "sim/error.h"

namespace qsim::cosim {

class RtlBackend::Impl {
 public:
  StatsByTap stats;
};

bool BuiltWithRtl() { return false; }
std::vector<ArrayShape> BuiltArrays() { return {}; }

RtlBackend::RtlBackend(RtlOptions /*options*/) {
  throw InputError(
      "this qsim was built without RTL; build it with cmake -DQSIM_RTL=ON (needs Verilator), or "
      "run with --rtl off");
}
RtlBackend::~RtlBackend() = default;

void RtlBackend::Gemm(const OpId& /*id*/, const LhsView& /*lhs*/,
                      MatrixView<const std::int8_t> /*rhs*/, const GemmParams& /*params*/,
                      MatrixView<std::int32_t> /*out*/, AccRange* /*seen*/) {}
std::int64_t RtlBackend::Requantize(const OpId& /*id*/, std::span<const std::int32_t> /*in*/,
                                    std::int64_t /*row_length*/, const RequantizeParams& /*params*/,
                                    std::span<std::int32_t> /*out*/) {
  return 0;
}
std::int64_t RtlBackend::ResidualAdd(const OpId& /*id*/, std::span<const std::int32_t> /*a*/,
                                     std::span<const std::int32_t> /*b*/,
                                     std::int64_t /*row_length*/,
                                     const ResidualAddParams& /*params*/,
                                     std::span<std::int32_t> /*out*/) {
  return 0;
}

const StatsByTap& RtlBackend::stats() const { return impl_->stats; }
bool RtlBackend::trace_written() const { return false; }

}  // namespace qsim::cosim
