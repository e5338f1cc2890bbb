// A matrix product on the MAC array: packs the operands into beats and runs tile after tile, each
// in passes of k_tile steps. docs/rtl.md has the schedule.
#pragma once

#include <cstdint>

#include "golden/program/backend.h"
#include "sim/cosim/mac_array_unit.h"
#include "sim/cosim/tile_runner.h"

namespace qsim::cosim {

// As Backend::Gemm. Throws AccumulatorOverflow, naming tap and tile, under AccPolicy::kError.
void RunGemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
             const GemmParams& params, MatrixView<std::int32_t> out, const RtlOptions& options,
             const MacArrays& arrays, TileRunner& runner);

}  // namespace qsim::cosim
