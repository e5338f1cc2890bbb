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
struct Program;

// Class token and its like (in float vectors of their own) and positions in the residual stream's
// scale. The F rows that the output has in front of the patches are position's, which already hold
// the tokens and the output's zero point; row t >= F is one ResidualAdd:
//   y = clamp(out_zero + round_shift(a[t-F][c] M_a[c] + position[t][c] M_b, shift), qmin, qmax)
struct EmbedOp {
  static constexpr Description kIs{"embed", "9.3", /*clamps=*/true, {}, /*float_vectors=*/1};
  std::string output;
  std::string a;  // the patches' accumulators, int32 [P, C]
  // Constant, int32 [F+P, C]; |value| < 2^16, the rows in front within the output's range.
  std::string position;
  std::vector<std::int32_t> a_multiplier;  // one, or one per channel
  std::int32_t b_multiplier = 1;
  int shift = 0;
  std::int32_t out_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const EmbedOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"a", Role::kReads}, self.a);
    v(Field{"position", Role::kConstant}, self.position);
    v(Field{"a_multiplier", Role::kMultiplier, 32, true, Axis::kChannel}, self.a_multiplier);
    v(Field{"b_multiplier", Role::kMultiplier}, self.b_multiplier);
    v(Field{"shift", Role::kShift, 8, false}, self.shift);
    v(Field{"zero", Role::kOutputZero}, self.out_zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
  std::string Formula(const Program& program) const;
  // Views of these members, for this output and so many patches.
  ResidualAddParams Params(const TensorInfo& info, std::int64_t patches) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
