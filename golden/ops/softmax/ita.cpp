#include "golden/ops/softmax/ita.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {
namespace {

// floor(value / 2^shift), value >= 0, for a shift of any size.
std::int64_t ShiftDown(std::int64_t value, std::int64_t shift) {
  return shift >= 63 ? 0 : value >> shift;
}

// Equation 5.18. difference >= 0.
template <typename Params>
std::int64_t PowerOf(std::int64_t difference, const Params& params) {
  return RoundShift(difference, params.shift_bits, Rounding::kHalfUp);
}

// Equations 5.20 and 5.21. sum >= 256.
template <typename Params>
void Normalize(std::span<const std::int32_t> scores, std::int64_t row_max, std::int64_t sum,
               const Params& params, std::span<std::int32_t> out) {
  const std::int64_t inverse = (params.levels - std::int64_t{1}) * 256 / sum;
  std::transform(scores.begin(), scores.end(), out.begin(), [&](std::int32_t x) {
    return static_cast<std::int32_t>(ShiftDown(inverse, PowerOf(row_max - x, params)) +
                                     params.output_offset);
  });
}

template <typename Params>
void CheckCommon(const Params& params) {
  Require(params.shift_bits >= 0 && params.shift_bits <= 31,
          "ItaSoftmax: shift_bits must be in 0..31");
  Require(params.levels >= 2 && params.levels <= 65536, "ItaSoftmax: levels must be in 2..65536");
  Require(params.output_offset >= -65536 && params.output_offset <= 65536,
          "ItaSoftmax: output_offset must be in -65536..65536");
}

}  // namespace

std::int64_t ItaExp(std::int64_t distance, int shift_bits) {
  return ShiftDown(256, RoundShift(distance, shift_bits, Rounding::kHalfUp));
}

void CheckItaSoftmax(const ItaSoftmaxParams& params) { CheckCommon(params); }

void CheckItaSoftmax(const ItaStreamingSoftmaxParams& params) {
  CheckCommon(params);
  Require(params.group >= 1, "ItaSoftmax: group must be at least 1");
}

QuantRange ItaSoftmaxRange(const ItaSoftmaxParams& params) {
  return {params.output_offset, params.output_offset + params.levels - 1};
}

QuantRange ItaSoftmaxRange(const ItaStreamingSoftmaxParams& params) {
  return {params.output_offset, params.output_offset + params.levels - 1};
}

void ItaSoftmax(std::span<const std::int32_t> scores, const ItaSoftmaxParams& params,
                std::span<std::int32_t> out) {
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  std::vector<std::int64_t> powers(scores.size());
  std::transform(scores.begin(), scores.end(), powers.begin(),
                 [&](std::int32_t x) { return PowerOf(row_max - x, params); });
  // Equation 5.19 exactly, however far the powers spread: from the smallest terms up, in units of
  // 2^(8 - power) until those are whole numbers. Floors nest, so that flooring at every step gives
  // the floor of the sum.
  std::sort(powers.begin(), powers.end(), std::greater<>());
  std::int64_t sum = 0;
  std::int64_t unit = std::max<std::int64_t>(powers.front(), 8);
  for (const std::int64_t power : powers) {  // the last is the maximum's, 0
    const std::int64_t next = std::max<std::int64_t>(power, 8);
    sum = ShiftDown(sum, unit - next) + (std::int64_t{1} << (next - power));
    unit = next;
  }
  Normalize(scores, row_max, sum, params, out);
}

void ItaSoftmax(std::span<const std::int32_t> scores, const ItaStreamingSoftmaxParams& params,
                std::span<std::int32_t> out) {
  const auto group =
      static_cast<std::size_t>(std::min(params.group, static_cast<std::int64_t>(scores.size())));
  std::int64_t running_max = scores.front();
  std::int64_t sum = 0;
  for (std::size_t first = 0; first < scores.size(); first += group) {
    const auto part = scores.subspan(first, std::min(group, scores.size() - first));
    const std::int64_t part_max = *std::max_element(part.begin(), part.end());
    if (part_max > running_max) {
      sum = ShiftDown(sum, PowerOf(part_max - running_max, params));
      running_max = part_max;
    }
    for (const std::int32_t x : part) sum += ShiftDown(256, PowerOf(running_max - x, params));
  }
  Normalize(scores, running_max, sum, params, out);
}

}  // namespace qsim::golden
