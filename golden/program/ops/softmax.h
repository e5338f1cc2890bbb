#pragma once

#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/softmax.h"

namespace qsim {

class Checker;
class OperationRun;

// Softmax over the last axis of [H, T, T]; params has one entry or one per head, all of one
// algorithm.
struct SoftmaxOp {
  static constexpr Description kIs{"softmax", "5", /*clamps=*/true, "over the last axis"};
  std::string output, input;
  std::vector<SoftmaxParams> params;
  bool operator==(const SoftmaxOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"algorithm", Role::kAlgorithm, 32, true, Axis::kHead}, self.params);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim
