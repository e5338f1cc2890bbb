// ITA's requantizers: the Python model's and the hardware's. docs/numerics.md sections 4.11, 4.12.
//
// Source: requantize of PyITA/util.py and src/ita_requantizer.sv of ITA (Islamoglu et al., ISLPED
// 2023, arXiv:2307.03493).
#pragma once

#include <cstdint>

#include "golden/ops/int128.h"

namespace qsim::golden {

// floor(v * multiplier / 2^shift + 1/2 + 2^-23), exactly, for every v; the source then adds `add`
// and clamps. shift in 0..255; the source's multiplier and shift have 8 unsigned bits. Throws
// std::invalid_argument beyond.
Int128 ItaRequantize(std::int64_t v, std::int32_t multiplier, int shift);

// half_up(v * multiplier / 2^shift), of the hardware; it then adds `add` and clamps. |v| <= 2^31,
// shift in 0..62; the source's shift is at most 31. Throws std::invalid_argument beyond.
std::int64_t ItaRtlRequantize(std::int64_t v, std::int32_t multiplier, int shift);

}  // namespace qsim::golden
