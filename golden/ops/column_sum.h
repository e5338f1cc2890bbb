// Sums of columns, over rows: what the mean of tokens needs. docs/numerics.md section 16.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::golden {

// Equation 16.3: out[c] = sum_t (in[t][c] - zero[c]) over the rows from `first` on; `zero` has one
// entry or one for each column. Throws std::invalid_argument where sizes disagree or a sum leaves
// 32 bits.
void ColumnSum(std::span<const std::int32_t> in, std::int64_t first,
               std::span<const std::int32_t> zero, std::span<std::int32_t> out);

}  // namespace qsim::golden
