// A softmax whose exponential is a table, for any scale of the scores. docs/numerics.md section
// 5.10.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "golden/ops/fields.h"

namespace qsim::golden {

// What the exponential of every row's maximum is in the tables' units.
inline constexpr std::int32_t kTableExpOne = 1 << 15;

// exp[k] stands for exp(-s k), s the score scale; exp_high[k], of scores that differ by more than
// 255, for exp(-256 s k). Both begin with kTableExpOne and exceed it nowhere. Differences beyond
// the last entries count as the largest that they reach.
struct TableSoftmaxParams {
  static constexpr std::string_view kName = "table";
  int extra_bits = 0;                       // output scale 2^-(8 + extra_bits), 0..7
  std::vector<std::int32_t> exp = {};       // 256 entries
  std::vector<std::int32_t> exp_high = {};  // none, or 2..256
  bool operator==(const TableSoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"extra_bits", Role::kCoefficient, 8, false, Axis::kHead}, self.extra_bits);
    v(Field{"exp", Role::kCoefficient, 16, false, Axis::kCode}, self.exp);
    v(Field{"exp_high", Role::kCoefficient, 16, false, Axis::kCode, true}, self.exp_high);
  }
  std::string Exponential() const;
  static constexpr std::string_view kLargest = "2^15";
  static constexpr std::string_view kFormula =
      "y = half_up(e floor(2^48 / sum(e)) / 2^(40 - extra_bits)), at most 255";
};

// Throws std::invalid_argument where a table has another length, or an entry is out of its range.
void CheckTableSoftmax(const TableSoftmaxParams& params);

// Equation 5.36: the exponential of a distance to the row's maximum, 0 .. kTableExpOne.
// distance >= 0; `params` must have passed CheckTableSoftmax.
std::int32_t TableExp(const TableSoftmaxParams& params, std::int64_t distance);

// One row, 1..65536 scores. out: 0..255, scale 2^-(8 + extra_bits). Returns how many elements
// saturated at 255. Parameters must have passed CheckTableSoftmax.
std::int64_t TableSoftmax(std::span<const std::int32_t> scores, const TableSoftmaxParams& params,
                          std::span<std::int32_t> out);

}  // namespace qsim::golden
