// Small loops over rows in vector registers. Private to golden/kernels.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::golden::kernels {

std::int32_t Largest(std::span<const std::int32_t> row);  // of at least one element

// x = min((x factor + half) >> shift, most), 0 <= x < 2^16, factor < 2^34. Returns how many the
// minimum changed.
std::int64_t ScaleRow(std::span<std::int32_t> row, std::int64_t factor, std::int64_t half,
                      int shift, std::int32_t most);

// Between storage and the 32 bits in which rows are computed. Values to be narrowed fit.
void Widen(std::span<const std::int8_t> from, std::int32_t* to);
void Widen(std::span<const std::uint8_t> from, std::int32_t* to);
void Widen(std::span<const std::int16_t> from, std::int32_t* to);
void Widen(std::span<const std::uint16_t> from, std::int32_t* to);
void Narrow(std::span<const std::int32_t> from, std::int8_t* to);
void Narrow(std::span<const std::int32_t> from, std::uint8_t* to);
void Narrow(std::span<const std::int32_t> from, std::int16_t* to);
void Narrow(std::span<const std::int32_t> from, std::uint16_t* to);

}  // namespace qsim::golden::kernels
