#pragma once

#include <string>

#include "golden/ops/fields.h"
#include "golden/ops/layernorm.h"

namespace qsim::golden {

class Checker;
class OperationRun;

// Layer norm over the last axis of [T, C].
struct LayernormOp {
  static constexpr Description kIs{"layernorm",         "6",
                                   /*clamps=*/true,     "over the last axis",
                                   /*float_vectors=*/2, "layer norm"};
  std::string output, input;
  LayernormParams params;
  bool operator==(const LayernormOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"algorithm", Role::kAlgorithm}, self.params);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
