#pragma once

#include <cstdint>
#include <string>

#include "golden/ops/fields.h"
#include "golden/ops/rmsnorm.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// RMS normalization over the last axis of [T, C], or over each of so many equal groups of its
// columns; with a gate, a tensor of the same shape, its
// result is multiplied by that, element by element, before the one rounding.
struct RmsnormOp {
  static constexpr Description kIs{"rmsnorm", "6.9", /*clamps=*/true, /*formula=*/{},
                                   /*float_vectors=*/1};
  std::string output, input;
  std::string gate = {};  // empty: none
  RmsnormParams params;
  std::int64_t groups = 0;  // 0: all columns are one
  bool operator==(const RmsnormOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{.name = "gate", .role = Role::kReads, .optional = true}, self.gate);
    v(Field{"params", Role::kGroup}, self.params);
    v(Field{"groups", Role::kSize, 32, false, Axis::kTensor, true}, self.groups);
  }
  // Those of the columns [first, first + width): what has one entry holds for all.
  RmsnormParams Of(std::size_t first, std::size_t width) const;
  std::string Formula(const Program& program) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
