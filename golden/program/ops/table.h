#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/table.h"

namespace qsim::golden {

class Checker;
class OperationRun;

// Any function of a tensor of at most 16 bits, of any shape, element by element: one entry for each
// code of the input's range, within the output's range.
struct TableOp {
  static constexpr Description kIs{"table", "12", /*clamps=*/false,
                                   "y = table[x - (input_qmin)], table_entries entries"};
  std::string output, input;
  std::vector<std::int32_t> table;
  bool operator==(const TableOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"table", Role::kTable, 32, true, Axis::kCode}, self.table);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
