#pragma once

#include <cstdint>
#include <string>

#include "golden/ops/fields.h"
#include "golden/ops/multiply.h"

namespace qsim::golden {

class Checker;
class OperationRun;

// The exact product of two tensors of one shape, element by element, in int32: a gate. What follows
// requantizes it.
struct MultiplyOp {
  static constexpr Description kIs{"multiply", "13", /*clamps=*/false,
                                   "y = (a - a_zero) (b - b_zero)"};
  std::string output, a, b;
  std::int32_t a_zero = 0, b_zero = 0;
  bool operator==(const MultiplyOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"a", Role::kReads}, self.a);
    v(Field{"b", Role::kReads}, self.b);
    v(Field{"a_zero", Role::kInputZero}, self.a_zero);
    v(Field{"b_zero", Role::kInputZero}, self.b_zero);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
