#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// The sums of the columns of [T, C], at most 16 bits, over the rows from `first` on and without
// zero points: [1, C] in int32. What divides by the number of rows is the requantization behind it.
struct ColumnSumOp {
  static constexpr Description kIs{.kind = "column_sum", .section = "16", .in_words = "column sum"};
  std::string output, input;
  std::int64_t first = 0;
  std::vector<std::int32_t> input_zero = {0};  // one, or one for each column
  bool operator==(const ColumnSumOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"first", Role::kSize, 32, false, Axis::kTensor, true}, self.first);
    v(Field{"input_zero", Role::kInputZero, 32, true, Axis::kChannel}, self.input_zero);
  }
  std::string Formula(const Program& program) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
