#pragma once

#include <string>

#include "golden/ops/fields.h"

namespace qsim::golden {

class Checker;
class OperationRun;

// A row of a constant [V, D] for each id of [T]: an embedding table.
struct LookupOp {
  static constexpr Description kIs{"lookup", "14.3", /*clamps=*/false, "y[t] = table[x[t]]"};
  std::string output, input;
  std::string table;  // constant, within the output's range
  bool operator==(const LookupOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"table", Role::kConstant}, self.table);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
