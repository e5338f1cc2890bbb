#include "golden/ops/table.h"

#include <cstddef>

#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {

std::int32_t TableValue(std::int64_t index, std::span<const std::int32_t> table, int step_bits) {
  Require(step_bits >= 0 && step_bits <= kMaxTableStepBits, "Table: step_bits must be in 0..8");
  const auto entries = static_cast<std::int64_t>(table.size());
  const std::int64_t j = index >> step_bits;
  Require(index >= 0 && j < entries - (step_bits == 0 ? 0 : 1),
          "Table: an input code lies outside the table");
  const std::int64_t from = table[static_cast<std::size_t>(j)];
  if (step_bits == 0) return static_cast<std::int32_t>(from);
  const std::int64_t step = table[static_cast<std::size_t>(j) + 1] - from;
  // Between both entries.
  return static_cast<std::int32_t>(
      from + RoundShift(step * (index - (j << step_bits)), step_bits, Rounding::kHalfUp));
}

void Table(std::span<const std::int32_t> x, std::int32_t first_code,
           std::span<const std::int32_t> table, std::span<std::int32_t> out) {
  Require(x.size() == out.size(), "Table: out must be as long as x");
  for (std::size_t i = 0; i < x.size(); ++i)
    out[i] = TableValue(std::int64_t{x[i]} - first_code, table, 0);
}

}  // namespace qsim::golden
