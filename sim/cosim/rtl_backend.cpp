#include "sim/cosim/rtl_backend.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/cosim/elementwise_runner.h"
#include "sim/cosim/gemm_runner.h"
#include "sim/cosim/lanes_unit.h"
#include "sim/cosim/mac_array_unit.h"
#include "sim/cosim/qsim_pkg.h"
#include "sim/cosim/tile_runner.h"
#include "sim/error.h"

namespace qsim::cosim {
namespace {

// Throws InputError for options that no run could use.
RtlOptions Checked(RtlOptions options) {
  const std::vector<ArrayShape> built = BuiltArrays();
  if (std::find(built.begin(), built.end(), options.array) == built.end()) {
    std::string sizes;
    std::string cmake_list;
    for (const ArrayShape shape : built) {
      sizes += (sizes.empty() ? "" : ", ") + ToString(shape);
      cmake_list += ToString(shape) + ";";
    }
    throw InputError("hardware.array_rows, array_cols: no " + ToString(options.array) +
                     " array in this build; built are " + sizes +
                     "; to add it: cmake -DQSIM_ARRAYS=\"" + cmake_list + ToString(options.array) +
                     "\"");
  }
  if (!(options.stalls.probability >= 0 && options.stalls.probability <= 0.95)) {
    throw InputError("the stall probability must be in 0..0.95");
  }
  if (options.k_tile < 1 || options.k_tile > qsim_pkg::kMaxDepth) {
    throw InputError(fmt::format("k_tile must be in 1..{}", qsim_pkg::kMaxDepth));
  }
  return options;
}

}  // namespace

class RtlBackend::Impl {
 public:
  explicit Impl(RtlOptions checked)
      : options(std::move(checked)),
        runner(options),
        arrays{{}, MakeMacArrayUnit(options.array, Checks::kOn)},
        requantize(MakeRequantizeUnit(options.array.cols)),
        residual_add(MakeResidualAddUnit(options.array.cols)) {
    for (int i = 0; i < (options.check_every_tile ? 1 : options.threads); ++i) {
      arrays.fast.push_back(MakeMacArrayUnit(options.array, Checks::kOff));
    }
  }

  RtlOptions options;
  TileRunner runner;
  MacArrays arrays;
  std::unique_ptr<RequantizeUnit> requantize;
  std::unique_ptr<ResidualAddUnit> residual_add;
};

bool BuiltWithRtl() { return true; }

RtlBackend::RtlBackend(RtlOptions options)
    : impl_(std::make_unique<Impl>(Checked(std::move(options)))) {}
RtlBackend::~RtlBackend() = default;

void RtlBackend::Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
                      const GemmParams& params, MatrixView<std::int32_t> out, AccRange* /*seen*/) {
  RunGemm(id, lhs, rhs, params, out, impl_->options, impl_->arrays, impl_->runner);
}

std::int64_t RtlBackend::Requantize(const OpId& id, std::span<const std::int32_t> in,
                                    std::int64_t row_length, const RequantizeParams& params,
                                    std::span<std::int32_t> out) {
  return RunRequantize(id, in, row_length, params, out, impl_->options, *impl_->requantize,
                       impl_->runner);
}

std::int64_t RtlBackend::ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                                     std::span<const std::int32_t> b, std::int64_t row_length,
                                     const ResidualAddParams& params, std::span<std::int32_t> out) {
  return RunResidualAdd(id, a, b, row_length, params, out, impl_->options, *impl_->residual_add,
                        impl_->runner);
}

const StatsByTap& RtlBackend::stats() const { return impl_->runner.stats(); }
bool RtlBackend::trace_written() const { return impl_->runner.trace_written(); }

}  // namespace qsim::cosim
