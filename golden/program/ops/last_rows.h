#pragma once

#include <string>

#include "golden/ops/fields.h"

namespace qsim::golden {

class Checker;
class OperationRun;

// The last rows of two tensors, one above the other, as many as the upper one has: what a
// convolution over the next rows finds behind it.
struct LastRowsOp {
  static constexpr Description kIs{.kind = "last_rows",
                                   .section = "14.4",
                                   .formula = "y: the last rows of past above x, as many as past's",
                                   .in_words = "last rows"};
  std::string output, input, past;
  bool operator==(const LastRowsOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"past", Role::kReads}, self.past);
  }
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
