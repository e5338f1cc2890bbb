#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/view.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// The same elements in another order: slice, reshape, transpose, windows that overlap. Addresses,
// no arithmetic. The output is `extents` read row-major under any shape of as many elements.
struct ViewOp {
  static constexpr Description kIs{"view", "14"};
  std::string output, input;
  std::int64_t offset = 0;
  std::vector<std::int64_t> strides;  // in elements of the input
  std::vector<std::int64_t> extents;  // one for each stride; empty: those of the output
  bool operator==(const ViewOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"offset", Role::kSize, 64}, self.offset);
    v(Field{"strides", Role::kSize, 64}, self.strides);
    v(Field{"extents", Role::kSize, 64, true, Axis::kTensor, true}, self.extents);
  }
  std::string Formula(const Program& program) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
