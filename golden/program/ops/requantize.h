#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/requantize.h"
#include "golden/program/tensor.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct Program;

// Requantizes columns [first_column, first_column + output columns) of the input: Q, K and V are
// slices of the stacked QKV accumulator. first_column is 0 for every other use. `scheme` says which
// published arithmetic; `rounding` belongs to round_shift alone.
struct RequantizeOp {
  static constexpr Description kIs{"requantize", "4", /*clamps=*/true};
  std::string output, input;
  std::int64_t first_column = 0;
  ChannelAxis axis = ChannelAxis::kNone;
  std::vector<Multiplier> scale;
  std::vector<std::int32_t> zero;
  std::int32_t input_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  RequantScheme scheme = RequantScheme::kRoundShift;
  std::vector<std::int64_t> addend =
      {};  // empty, one, or one per channel: where the scheme has one
  bool operator==(const RequantizeOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    const Axis lists = self.axis == ChannelAxis::kFirst ? Axis::kHead : Axis::kChannel;
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"first_column", Role::kSize, 32, false}, self.first_column);
    v(Field{"channel_axis", Role::kAxis}, self.axis);
    v(Field{"multiplier", Role::kMultiplier, 32, true, lists}, self.scale);
    v(Field{"zero", Role::kOutputZero, 32, true, lists}, self.zero);
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"scheme", Role::kChoice}, self.scheme);
    v(Field{"rounding", Role::kChoice}, self.rounding);
    v(Field{"addend", Role::kAddend, 64, true, lists, true}, self.addend);
  }
  std::string Formula(const Program& program) const;
  // Views of these members, for an output of this layout and range.
  RequantizeParams Params(const ChannelLayout& layout, QuantRange range) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
