#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/gemm.h"

namespace qsim {

class Checker;
class OperationRun;
struct Program;

// One product per head. `transpose_rhs`: QK^T, [T, C] x [T, C] -> [H, T, T], head h using columns
// h*C/H.. of both. Otherwise attention times V, [H, T, T] x [T, C] -> [T, C].
struct MatmulOp {
  static constexpr Description kIs{"matmul", "3"};
  std::string output, lhs, rhs;
  int heads = 1;
  bool transpose_rhs = false;
  OperandMode mode = OperandMode::kMultiply;
  std::vector<std::int32_t> lhs_zero;  // one, or one per head
  // QK^T: one, or one per head. Attention times V: one, or one per output channel.
  std::vector<std::int32_t> rhs_zero;
  Accumulator acc;
  bool operator==(const MatmulOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"lhs", Role::kReads}, self.lhs);
    v(Field{"rhs", Role::kReads}, self.rhs);
    v(Field{"heads", Role::kSize, 32, false}, self.heads);
    v(Field{"transpose_rhs", Role::kSize, 8, false}, self.transpose_rhs);
    v(Field{"mode", Role::kChoice}, self.mode);
    v(Field{"lhs_zero", Role::kInputZero, 16, true, Axis::kHead}, self.lhs_zero);
    v(Field{"rhs_zero", Role::kInputZero, 16, true,
            self.transpose_rhs ? Axis::kHead : Axis::kChannel},
      self.rhs_zero);
    v(Field{"acc", Role::kAccumulator}, self.acc);
  }
  std::string Formula(const Program& program) const;
  // Section 3 has one of its own for products of log2 codes.
  std::string_view Section() const { return mode == OperandMode::kShift ? "3.4" : kIs.section; }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim
