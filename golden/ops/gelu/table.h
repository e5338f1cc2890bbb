// GELU of a narrow tensor by a table over its codes. docs/numerics.md section 7.1.
#pragma once

#include <cstdint>
#include <span>

namespace qsim {

// out[i] = table[x[i] - qmin]. Throws std::invalid_argument for a code outside the table.
void GeluTable(std::span<const std::int32_t> x, std::int32_t qmin,
               std::span<const std::int32_t> table, std::span<std::int32_t> out);

}  // namespace qsim
