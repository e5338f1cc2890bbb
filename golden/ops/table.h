// Any function of a narrow integer, element by element. docs/numerics.md section 12.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::golden {

// out[i] = table[x[i] - first_code]. Throws std::invalid_argument for a code outside the table.
void Table(std::span<const std::int32_t> x, std::int32_t first_code,
           std::span<const std::int32_t> table, std::span<std::int32_t> out);

}  // namespace qsim::golden
