#pragma once

#include <string>

#include "golden/ops/add.h"
#include "golden/ops/fields.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// The exact sum of two integer tensors, or of a tensor and a bias per channel of its last axis, in
// int32. Networks that were quantized elsewhere name it as a step of its own; no rounding, no
// clamp.
struct AddOp {
  static constexpr Description kIs{"add", "10"};
  std::string output;
  std::string a;
  std::string b;     // a tensor of a's shape; empty where there is a bias
  std::string bias;  // constant, int32 [C]; empty where there is a tensor
  bool operator==(const AddOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"a", Role::kReads}, self.a);
    v(Field{.name = "b", .role = Role::kReads, .optional = true}, self.b);
    v(Field{.name = "bias", .role = Role::kBias, .optional = true}, self.bias);
  }
  std::string_view Formula(const Program&) const {
    return b.empty() ? "y = a + bias" : "y = a + b";
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
