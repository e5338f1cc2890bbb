#include "golden/ops/softmax/table_exp.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {
namespace {

constexpr std::size_t kLowEntries = 256;
constexpr int kUnitBits = 15;  // of kTableExpOne

void CheckTable(const std::vector<std::int32_t>& table) {
  Require(table.front() == kTableExpOne, "TableSoftmax: a table must begin with 32768");
  const auto [least, most] = std::minmax_element(table.begin(), table.end());
  Require(*least >= 0 && *most <= kTableExpOne, "TableSoftmax: entries must be in 0..32768");
}

}  // namespace

std::string TableSoftmaxParams::Exponential() const {
  const std::size_t entries = kLowEntries * std::max<std::size_t>(exp_high.size(), 1);
  return "d = min(rowmax - x, " + std::to_string(entries - 1) + ")\n" +
         (exp_high.empty()
              ? "e = exp[d]"
              : "e = half_up(exp_high[floor(d / 256)] exp[d - 256 floor(d / 256)] / 2^15)");
}

void CheckTableSoftmax(const TableSoftmaxParams& params) {
  Require(params.extra_bits >= 0 && params.extra_bits <= 7,
          "TableSoftmax: extra_bits must be in 0..7");
  Require(params.exp.size() == kLowEntries, "TableSoftmax: exp must have 256 entries");
  CheckTable(params.exp);
  if (params.exp_high.empty()) return;
  Require(params.exp_high.size() >= 2 && params.exp_high.size() <= 256,
          "TableSoftmax: exp_high must have no entry, or 2..256");
  CheckTable(params.exp_high);
}

std::int32_t TableExp(const TableSoftmaxParams& params, std::int64_t distance) {
  const std::size_t high = std::max<std::size_t>(params.exp_high.size(), 1);
  const std::size_t d = std::min(static_cast<std::size_t>(distance), kLowEntries * high - 1);
  const std::int32_t low = params.exp[d % kLowEntries];
  if (params.exp_high.empty()) return low;
  return static_cast<std::int32_t>(RoundShift(std::int64_t{params.exp_high[d / kLowEntries]} * low,
                                              kUnitBits, Rounding::kHalfUp));
}

std::int64_t TableSoftmax(std::span<const std::int32_t> scores, const TableSoftmaxParams& params,
                          std::span<std::int32_t> out) {
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    out[i] = TableExp(params, row_max - scores[i]);
    sum += out[i];
  }
  // Equation 5.37. The row's maximum adds kTableExpOne.
  const std::int64_t factor = (std::int64_t{1} << 48) / sum;
  std::int64_t saturated = 0;
  for (std::int32_t& y : out) {
    const std::int64_t value = RoundShift(y * factor, 40 - params.extra_bits, Rounding::kHalfUp);
    saturated += value > 255;
    y = static_cast<std::int32_t>(std::min(value, std::int64_t{255}));
  }
  return saturated;
}

}  // namespace qsim::golden
