#pragma once

#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/softmax.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// Softmax over the last axis of [H, T, S]; params has one entry or one per head, all of one
// algorithm. Which of the S columns row t sees: those where `mask` is not 0, and of a `causal` one
// s <= t + S - T, so that the last row sees all of them.
struct SoftmaxOp {
  static constexpr Description kIs{"softmax", "5", /*clamps=*/true};
  std::string output, input;
  std::vector<SoftmaxParams> params;
  std::string mask = {};  // a tensor, uint8 of 0 and 1, [T, S] or [1, S]; empty: all are seen
  bool causal = false;
  bool operator==(const SoftmaxOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"algorithm", Role::kAlgorithm, 32, true, Axis::kHead}, self.params);
    v(Field{.name = "mask", .role = Role::kReads, .optional = true}, self.mask);
    v(Field{"causal", Role::kSize, 8, false, Axis::kTensor, true}, self.causal);
  }
  std::string Formula(const Program& program) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
