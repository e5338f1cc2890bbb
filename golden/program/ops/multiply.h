#pragma once

#include <cstdint>
#include <string>

#include "golden/ops/fields.h"
#include "golden/ops/multiply.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// The exact product of two tensors, element by element, in int32: a gate. b may have fewer columns
// than a: each serves as many of a, side by side. Or of a tensor and a constant for each of its
// columns. What follows requantizes it.
struct MultiplyOp {
  static constexpr Description kIs{"multiply", "13"};
  std::string output, a;
  std::string b;  // empty where there is a factor
  std::int32_t a_zero = 0, b_zero = 0;
  std::string factor = {};  // constant, [C] of at most 16 bits; empty where there is a b
  bool operator==(const MultiplyOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"a", Role::kReads}, self.a);
    v(Field{.name = "b", .role = Role::kReads, .optional = true}, self.b);
    v(Field{"a_zero", Role::kInputZero}, self.a_zero);
    v(Field{"b_zero", Role::kInputZero, 32, true, Axis::kTensor, true}, self.b_zero);
    v(Field{.name = "factor", .role = Role::kConstant, .optional = true}, self.factor);
  }
  std::string Formula(const Program& program) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
