#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/gemm.h"
#include "golden/program/tensor.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct ProductOperands;
struct Program;

// The matrices that a tensor holds, one for each head. Of rank 2: side by side in its columns. Of a
// higher rank: one for each index of its leading axes, or a single one that is every head's.
struct Matrices {
  std::int64_t rows = 0, cols = 0;
  std::int64_t row_stride = 0;
  std::int64_t next = 0;  // from one head's to the next one's, in elements
};
// Nothing where the tensor does not hold so many.
std::optional<Matrices> MatricesOf(const Shape& shape, int heads);

// One product for each head, [M, K] x [K, N] -> [M, N], or with `transpose_rhs` [M, K] x [N, K] ->
// [M, N]. Operands and output hold their matrices as their rank says: QK^T is
// [T, C] x [S, C] -> [H, T, S], attention times V [H, T, S] x [S, C] -> [T, C].
struct MatmulOp {
  static constexpr Description kIs{"matmul", "3"};
  std::string output, lhs, rhs;
  int heads = 1;
  bool transpose_rhs = false;
  OperandMode mode = OperandMode::kMultiply;
  std::vector<std::int32_t> lhs_zero;  // one, or one per head
  // transpose_rhs: one, or one per head. Otherwise: one, or one per column, head after head.
  std::vector<std::int32_t> rhs_zero;
  Accumulator acc;
  std::string weight = {};  // a constant, int8, in the place of rhs; empty where there is an rhs
  bool operator==(const MatmulOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"lhs", Role::kReads}, self.lhs);
    v(Field{.name = "rhs", .role = Role::kReads, .optional = true}, self.rhs);
    v(Field{.name = "weight", .role = Role::kConstant, .optional = true}, self.weight);
    v(Field{"heads", Role::kSize, 32, false}, self.heads);
    v(Field{"transpose_rhs", Role::kSize, 8, false}, self.transpose_rhs);
    v(Field{"mode", Role::kChoice}, self.mode);
    v(Field{"lhs_zero", Role::kInputZero, 16, true, Axis::kHead}, self.lhs_zero);
    v(Field{"rhs_zero", Role::kInputZero, 16, true,
            self.transpose_rhs ? Axis::kHead : Axis::kChannel},
      self.rhs_zero);
    v(Field{"acc", Role::kAccumulator}, self.acc);
  }
  // Of the right operand, whichever it is.
  const Shape& RightShape(const Program& program) const;
  std::string Formula(const Program& program) const;
  // Section 3 has one of its own for products of log2 codes.
  std::string_view Section() const { return mode == OperandMode::kShift ? "3.4" : kIs.section; }
  // One head's: views of these members and of the run's values.
  ProductOperands Operands(const OperationRun& run, std::int64_t head) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
