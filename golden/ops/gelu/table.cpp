#include "golden/ops/gelu/table.h"

#include <cstddef>

#include "golden/ops/require.h"

namespace qsim {

void GeluTable(std::span<const std::int32_t> x, std::int32_t qmin,
               std::span<const std::int32_t> table, std::span<std::int32_t> out) {
  Require(x.size() == out.size(), "Gelu: out must be as long as x");
  const auto entries = static_cast<std::int64_t>(table.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t index = std::int64_t{x[i]} - qmin;
    Require(index >= 0 && index < entries, "Gelu: an input code lies outside the table");
    out[i] = table[static_cast<std::size_t>(index)];
  }
}

}  // namespace qsim
