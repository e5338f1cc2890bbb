#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/gemm.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct ProductOperands;
struct Program;

// output[R, N] = input[R, K] x weight[N, K]^T, where R is `rows`: so many rows of the input, from
// `first_row` on, or with 0 all of them. The head reads the class token alone, a second one the
// distillation token. The zero point of the input is folded into the bias.
struct GemmOp {
  static constexpr Description kIs{"gemm", "3"};
  std::string output, input;
  std::string weight;  // constant, int8 [N, K]
  std::string bias;    // constant, int32 [N]; includes -sum_k z_k (w_nk - w_zero_n)
  std::vector<std::int32_t> weight_zero;  // empty, or one per output channel
  Accumulator acc;
  std::int64_t rows = 0;  // 0..input rows
  std::int64_t first_row = 0;
  bool operator==(const GemmOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"weight", Role::kWeight}, self.weight);
    v(Field{"bias", Role::kBias}, self.bias);
    v(Field{"weight_zero", Role::kInputZero, 16, true, Axis::kChannel, true}, self.weight_zero);
    v(Field{"rows", Role::kSize, 32, false, Axis::kTensor, true}, self.rows);
    v(Field{"first_row", Role::kSize, 32, false, Axis::kTensor, true}, self.first_row);
    v(Field{"acc", Role::kAccumulator}, self.acc);
  }
  std::string Formula(const Program& program) const;
  // Views of these members and of the run's values.
  ProductOperands Operands(const OperationRun& run) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
