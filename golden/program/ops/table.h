#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/table.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// Any function of a tensor of at most 16 bits, of any shape, element by element: one entry for each
// code of the input's range, within the output's range, or one for every 2^step_bits codes and a
// straight line between. Columns of the last axis may have tables of their own.
struct TableOp {
  static constexpr Description kIs{"table", "12"};
  std::string output, input;
  std::vector<std::int32_t> table;          // one table, or one behind the other
  std::vector<std::int32_t> table_of = {};  // which of them each column uses; empty: the only one
  int step_bits = 0;                        // 0..8
  bool operator==(const TableOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"table", Role::kTable, 32, true, Axis::kCode}, self.table);
    v(Field{"table_of", Role::kSize, 32, false, Axis::kChannel, true}, self.table_of);
    v(Field{"step_bits", Role::kCoefficient, 8, false, Axis::kTensor, true}, self.step_bits);
  }
  std::string Formula(const Program& program) const;
  // The table of a column, for an input of so many codes.
  std::span<const std::int32_t> TableOf(std::size_t column, std::int64_t codes) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
