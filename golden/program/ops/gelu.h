#pragma once

#include <string>

#include "golden/ops/fields.h"
#include "golden/ops/gelu.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct TensorInfo;

// GELU of a tensor of at most 16 bits (ita and shiftgelu: 8), of any shape; shiftgelu works on rows
// of the last axis. A table has one entry per code of the input's range, within the output's range.
// An int32 output with scale 1 is the algorithm's own wide result.
struct GeluOp {
  static constexpr Description kIs{
      "gelu", "7", /*clamps=*/true, /*formula=*/{}, /*float_vectors=*/0, "GELU"};
  std::string output, input;
  GeluParams params;
  bool operator==(const GeluOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"algorithm", Role::kAlgorithm}, self.params);
  }
  // What its tensors say of it.
  static GeluShape ShapeOf(const TensorInfo& in, const TensorInfo& out);
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
