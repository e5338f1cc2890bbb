// Requantize and residual add on the RTL: a tensor as a matrix, tile after tile, each row of a tile
// one beat.
#pragma once

#include <cstdint>
#include <span>

#include "golden/program/backend.h"
#include "sim/cosim/lanes_unit.h"
#include "sim/cosim/tile_runner.h"

namespace qsim::cosim {

// As Backend::Requantize.
std::int64_t RunRequantize(const OpId& id, std::span<const std::int32_t> in,
                           std::int64_t row_length, const RequantizeParams& params,
                           std::span<std::int32_t> out, const RtlOptions& options,
                           RequantizeUnit& unit, TileRunner& runner);

// As Backend::ResidualAdd.
std::int64_t RunResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                            std::span<const std::int32_t> b, std::int64_t row_length,
                            const ResidualAddParams& params, std::span<std::int32_t> out,
                            const RtlOptions& options, ResidualAddUnit& unit, TileRunner& runner);

}  // namespace qsim::cosim
