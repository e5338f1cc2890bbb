#pragma once

#include <string>

#include "golden/ops/fields.h"

namespace qsim::golden {

class Checker;
class OperationRun;

// The rows of one tensor, then those of another: one after the other along the first axis. A row
// appended to a cache, the last rows of the step before in front of a convolution's.
struct ConcatOp {
  static constexpr Description kIs{"concat", "14.2", /*clamps=*/false, "rows of a, then rows of b"};
  std::string output, a, b;
  bool operator==(const ConcatOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"a", Role::kReads}, self.a);
    v(Field{"b", Role::kReads}, self.b);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
