// Any function of a narrow integer, element by element. docs/numerics.md section 12.
//
//   y = table[i]                                    i = x - first_code
//   y = table[j] + half_up((table[j+1] - table[j]) f / 2^s),   j = i >> s, f = the low s bits of i
#pragma once

#include <cstdint>
#include <span>

namespace qsim::golden {

inline constexpr int kMaxTableStepBits = 8;

// How many entries serve so many codes, 2^step_bits codes apart: with steps, one behind the last.
constexpr std::int64_t TableEntries(std::int64_t codes, int step_bits) {
  return step_bits == 0 ? codes : ((codes - 1) >> step_bits) + 2;
}

// The element of one code. Throws std::invalid_argument for a code outside the table.
std::int32_t TableValue(std::int64_t index, std::span<const std::int32_t> table, int step_bits);

// out[i] = table[x[i] - first_code]. Throws std::invalid_argument for a code outside the table.
void Table(std::span<const std::int32_t> x, std::int32_t first_code,
           std::span<const std::int32_t> table, std::span<std::int32_t> out);

}  // namespace qsim::golden
