#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/residual_add.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct TensorInfo;

struct ResidualAddOp {
  static constexpr Description kIs{"residual_add", "8", /*clamps=*/true,
                                   "y = clamp(zero + rounding(((a - a_zero) a_multiplier + (b - "
                                   "b_zero) b_multiplier) / 2^shift), "
                                   "qmin, qmax)"};
  std::string output;
  std::string a;  // the projection's accumulator, or its narrow output
  std::string b;  // the residual stream
  std::vector<std::int32_t> a_multiplier, b_multiplier;  // one, or one per channel
  int shift = 0;
  std::int32_t a_zero = 0, b_zero = 0, out_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const ResidualAddOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"a", Role::kReads}, self.a);
    v(Field{"b", Role::kReads}, self.b);
    v(Field{"a_multiplier", Role::kMultiplier, 32, true, Axis::kChannel}, self.a_multiplier);
    v(Field{"b_multiplier", Role::kMultiplier, 32, true, Axis::kChannel}, self.b_multiplier);
    v(Field{"shift", Role::kShift, 8, false}, self.shift);
    v(Field{"a_zero", Role::kInputZero}, self.a_zero);
    v(Field{"b_zero", Role::kInputZero}, self.b_zero);
    v(Field{"zero", Role::kOutputZero}, self.out_zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
  // Views of these members, for this output.
  ResidualAddParams Params(const TensorInfo& info) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
