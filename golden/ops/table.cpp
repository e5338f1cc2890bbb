#include "golden/ops/table.h"

#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

void Table(std::span<const std::int32_t> x, std::int32_t first_code,
           std::span<const std::int32_t> table, std::span<std::int32_t> out) {
  Require(x.size() == out.size(), "Table: out must be as long as x");
  const auto entries = static_cast<std::int64_t>(table.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t index = std::int64_t{x[i]} - first_code;
    Require(index >= 0 && index < entries, "Table: an input code lies outside the table");
    out[i] = table[static_cast<std::size_t>(index)];
  }
}

}  // namespace qsim::golden
