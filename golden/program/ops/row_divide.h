#pragma once

#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// Each row of each head over its divisor, [H, T, 1], with so many fraction bits: a requantization
// whose multiplier is the row's. The input holds its heads' matrices as a product's output does:
// side by side in the columns of [T, C], or as planes of [H, T, D].
struct RowDivideOp {
  static constexpr Description kIs{
      .kind = "row_divide", .section = "16", .clamps = true, .in_words = "row division"};
  std::string output, input, divisor;
  int fraction_bits = 15;
  Rounding reciprocal_rounding = Rounding::kHalfUp;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const RowDivideOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"divisor", Role::kReads}, self.divisor);
    v(Field{"fraction_bits", Role::kCoefficient, 8, false}, self.fraction_bits);
    v(Field{"reciprocal_rounding", Role::kChoice}, self.reciprocal_rounding);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
  std::string Formula(const Program& program) const;
  // The multiplier of each row of each head, in the order of the output's elements.
  std::vector<Multiplier> Reciprocals(const OperationRun& run) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
