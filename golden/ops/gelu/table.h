// GELU by a table over its codes (golden/ops/table.h). docs/numerics.md section 7.1.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "golden/ops/fields.h"

namespace qsim::golden {

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

}  // namespace qsim::golden
