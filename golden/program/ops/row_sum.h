#pragma once

#include <string>

#include "golden/ops/fields.h"
#include "golden/ops/gemm.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// The sums of the rows of [H, T, S], [H, T, 1] in int32; of log2 codes in shift mode.
struct RowSumOp {
  static constexpr Description kIs{.kind = "row_sum", .section = "16", .in_words = "row sum"};
  std::string output, input;
  OperandMode mode = OperandMode::kMultiply;
  bool operator==(const RowSumOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"mode", Role::kChoice}, self.mode);
  }
  std::string_view Formula(const Program&) const {
    return mode == OperandMode::kMultiply
               ? "y[h][i][j] = sum_k a[h][i][k]"
               : "y[h][i][j] = sum_k 1 << (15 - a[h][i][k]); a = 16 adds 0";
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
