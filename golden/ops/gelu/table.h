// GELU of a narrow tensor by a table over its codes. docs/numerics.md section 7.1.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "golden/ops/fields.h"

namespace qsim {

struct GeluTableParams {
  static constexpr std::string_view kName = "table";
  static constexpr std::string_view kFormula = "y = table[x - (input_qmin)], table_entries entries";
  std::vector<std::int32_t> table = {};  // one entry per input code
  bool operator==(const GeluTableParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"table", Role::kTable, 32, true, Axis::kCode}, self.table);
  }
};

// out[i] = table[x[i] - qmin]. Throws std::invalid_argument for a code outside the table.
void GeluTable(std::span<const std::int32_t> x, std::int32_t qmin,
               std::span<const std::int32_t> table, std::span<std::int32_t> out);

}  // namespace qsim
