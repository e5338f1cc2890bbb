#include "golden/ops/softmax/ibert.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim::golden {
namespace {

// Equation 5.6.
template <typename Params>
std::int32_t Exp16(const Params& params, std::int64_t exp_int) {
  const Int128 scaled = RoundShift(Int128{exp_int} * params.act16_multiplier, params.act16_shift,
                                   Rounding::kHalfEven);
  return static_cast<std::int32_t>(std::min(std::max(scaled, Int128{-32768}), Int128{32767}));
}

template <typename Params>
void CheckExp16(const Params& params) {
  CheckIbertExp(params.exp);
  Require(params.act16_multiplier >= 1 && params.act16_multiplier < (std::int64_t{1} << 31) &&
              params.act16_shift >= 0 && params.act16_shift <= 126,
          "Softmax: act16 multiplier or shift out of range");
  // The row's maximum has exp_int = c << n, so every row's sum of exp16 is at least this.
  Require(Exp16(params, params.exp.c << params.exp.n) >= 1,
          "Softmax: act16 turns the row maximum into 0");
}

template <typename Params>
std::int64_t Evaluate(std::span<const std::int32_t> scores, const Params& params, int extra_bits,
                      Rounding rounding, std::span<std::int32_t> out,
                      std::span<std::int64_t> exp_int, std::span<std::int32_t> exp16) {
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const std::int64_t value = EvaluateIbertExp(params.exp, scores[i] - row_max);
    if (!exp_int.empty()) exp_int[i] = value;
    out[i] = Exp16(params, value);
    sum += out[i];
  }
  if (!exp16.empty()) std::copy(out.begin(), out.end(), exp16.begin());
  // Equations 5.7 to 5.9. sum >= 1: CheckExp16.
  const std::int64_t factor = (std::int64_t{1} << 32) / sum;
  std::int64_t saturated = 0;
  for (std::int32_t& y : out) {
    const std::int64_t value = RoundShift(y * factor, 24 - extra_bits, rounding);
    saturated += value > 255;
    y = static_cast<std::int32_t>(std::min(value, std::int64_t{255}));
  }
  return saturated;
}

}  // namespace

void CheckIbertSoftmax(const IbertSoftmaxParams& params) { CheckExp16(params); }

void CheckIbertSoftmax(const IbertRnSoftmaxParams& params) {
  Require(params.extra_bits >= 0 && params.extra_bits <= 7,
          "Softmax: extra_bits must be in 0..7 for ibert_rn");
  CheckExp16(params);
}

std::int32_t IbertExp16(const IbertSoftmaxParams& params, std::int64_t distance) {
  return Exp16(params, EvaluateIbertExp(params.exp, -distance));
}

std::int32_t IbertExp16(const IbertRnSoftmaxParams& params, std::int64_t distance) {
  return Exp16(params, EvaluateIbertExp(params.exp, -distance));
}

std::int64_t IbertSoftmax(std::span<const std::int32_t> scores, const IbertSoftmaxParams& params,
                          std::span<std::int32_t> out, std::span<std::int64_t> exp_int,
                          std::span<std::int32_t> exp16) {
  return Evaluate(scores, params, 0, Rounding::kFloor, out, exp_int, exp16);
}

std::int64_t IbertSoftmax(std::span<const std::int32_t> scores, const IbertRnSoftmaxParams& params,
                          std::span<std::int32_t> out, std::span<std::int64_t> exp_int,
                          std::span<std::int32_t> exp16) {
  return Evaluate(scores, params, params.extra_bits, Rounding::kHalfUp, out, exp_int, exp16);
}

}  // namespace qsim::golden
