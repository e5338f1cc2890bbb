// Layer norm and RMS norm of golden/ops, fast: equal to them bit for bit. docs/numerics.md
// section 6.
#pragma once

#include <cstdint>
#include <span>

#include "golden/ops/layernorm.h"
#include "golden/ops/rmsnorm.h"

namespace qsim::golden::kernels {

// Whole rows, one after another. Returns how many elements the clamp changed. Rows for which 64
// bits are not proven to hold, by their own values, are the specification's: `by_reference` is set
// where there are some.
//
// `input`, `gate_range`: what the tensors may hold. Throws std::invalid_argument where the
// specification does.
std::int64_t LayernormOf(std::span<const std::int32_t> x, std::int64_t channels,
                         const LayernormParams& params, QuantRange input, QuantRange range,
                         std::span<std::int32_t> out, bool& by_reference);
// `gate` is empty or as long as x.
std::int64_t RmsnormOf(std::span<const std::int32_t> x, std::span<const std::int32_t> gate,
                       std::int64_t channels, const RmsnormParams& params, QuantRange input,
                       QuantRange gate_range, QuantRange range, std::span<std::int32_t> out,
                       bool& by_reference);

}  // namespace qsim::golden::kernels
