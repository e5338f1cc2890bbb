#include "golden/ops/softmax.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <vector>

#include "golden/ops/names.h"
#include "golden/ops/require.h"
#include "golden/ops/rounding.h"

namespace qsim {
namespace {

constexpr std::array<NamedValue<SoftmaxKind>, 3> kNames = {{
    {SoftmaxKind::kIbert, "ibert"},
    {SoftmaxKind::kIbertRn, "ibert_rn"},
    {SoftmaxKind::kLogInt, "log_int"},
}};

// Equations 5.1 to 5.4: the exponential of x - rowmax in units of 1 / (c << n).
std::int64_t Exp(const IbertExp& exp, std::int64_t x_minus_max) {
  const std::int64_t d = std::max(x_minus_max, std::int64_t{exp.n} * exp.x0);
  const std::int64_t q = d / exp.x0;  // both are <= 0, so this truncation is a floor
  const std::int64_t r = d - q * exp.x0;
  const std::int64_t polynomial = r * (r + exp.b) + exp.c;
  assert(q >= 0 && q <= exp.n && polynomial <= exp.c);
  return std::max(polynomial, std::int64_t{0}) << (exp.n - q);
}

// Equation 5.5.
std::int32_t Exp16(const SoftmaxParams& params, std::int64_t exp_int) {
  const Int128 scaled = RoundShift(Int128{exp_int} * params.act16_multiplier, params.act16_shift,
                                   Rounding::kHalfEven);
  return static_cast<std::int32_t>(std::min(std::max(scaled, Int128{-32768}), Int128{32767}));
}

// Equations 5.6 to 5.8. Returns how many elements saturated.
std::int64_t Normalize(std::span<const std::int64_t> exps, const SoftmaxParams& params,
                       std::span<std::int32_t> out, std::span<std::int32_t> trace) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < exps.size(); ++i) {
    out[i] = Exp16(params, exps[i]);
    sum += out[i];
  }
  if (!trace.empty()) std::copy(out.begin(), out.end(), trace.begin());
  const bool rounded = params.kind == SoftmaxKind::kIbertRn;
  const std::int64_t factor = (std::int64_t{1} << 32) / sum;  // sum >= 1: CheckParams
  std::int64_t saturated = 0;
  for (std::int32_t& y : out) {
    const std::int64_t value = RoundShift(y * factor, 24 - params.extra_bits,
                                          rounded ? Rounding::kHalfUp : Rounding::kFloor);
    saturated += value > 255;
    y = static_cast<std::int32_t>(std::min(value, std::int64_t{255}));
  }
  return saturated;
}

// Equation 5.9: the code of one element, 2^code_bits for zero.
std::int32_t LogCode(Int128 sum, std::int64_t exp_int, int code_bits) {
  const std::int32_t zero = 1 << code_bits;
  if (exp_int == 0) return zero;
  Int128 ratio = sum / exp_int;
  const Int128 twice_rest = 2 * (sum % exp_int);
  if (twice_rest > exp_int || (twice_rest == exp_int && (ratio & 1) != 0)) ++ratio;
  // below 62.
  int log = 0;
  while ((ratio >> (log + 1)) != 0) ++log;
  const Int128 power = Int128{1} << log;
  if (2 * (ratio - power) >= power) ++log;
  return log < zero ? log : zero;
}

void CheckParams(const SoftmaxParams& params) {
  const IbertExp& exp = params.exp;
  Require(exp.x0 <= -1 && exp.x0 >= -(1 << 20), "Softmax: x0 must be in -2^20..-1");
  Require(exp.b >= -(std::int64_t{exp.x0} + 1) && exp.b < (1 << 23),
          "Softmax: b must be in -(x0 + 1)..2^23 - 1");
  Require(exp.c >= 1 && exp.c < (std::int64_t{1} << 32), "Softmax: c must be in 1..2^32 - 1");
  Require(exp.n >= 0 && exp.n <= 30, "Softmax: n must be in 0..30");
  if (params.kind == SoftmaxKind::kLogInt) {
    Require(params.code_bits >= 1 && params.code_bits <= 8, "Softmax: code_bits must be in 1..8");
    return;
  }
  Require(
      params.extra_bits >= 0 && params.extra_bits <= (params.kind == SoftmaxKind::kIbertRn ? 7 : 0),
      "Softmax: extra_bits must be in 0..7 for ibert_rn and 0 for ibert");
  Require(params.act16_multiplier >= 0 && params.act16_multiplier < (std::int64_t{1} << 31) &&
              params.act16_shift >= 0 && params.act16_shift <= 126,
          "Softmax: act16 multiplier or shift out of range");
  // The row's maximum has exp_int = c << n, so every row's sum of exp16 is at least this.
  Require(Exp16(params, exp.c << exp.n) >= 1, "Softmax: act16 turns the row maximum into 0");
}

}  // namespace

std::string_view Name(SoftmaxKind kind) { return NameIn(kNames, kind); }

std::optional<SoftmaxKind> SoftmaxKindFromName(std::string_view name) {
  return ValueIn(kNames, name);
}

std::int64_t Softmax(std::span<const std::int32_t> scores, const SoftmaxParams& params,
                     std::span<std::int32_t> out, const SoftmaxTrace& trace) {
  CheckParams(params);
  const std::size_t length = scores.size();
  Require(length >= 1 && length <= kMaxSoftmaxRow && out.size() == length,
          "Softmax: a row must have 1..65536 elements, and out as many");
  Require((trace.exp_int.empty() || trace.exp_int.size() == length) &&
              (trace.exp16.empty() || trace.exp16.size() == length),
          "Softmax: a trace must be empty or as long as the row");
  const std::int64_t row_max = *std::max_element(scores.begin(), scores.end());
  std::vector<std::int64_t> exps(length);
  std::transform(scores.begin(), scores.end(), exps.begin(),
                 [&](std::int32_t x) { return Exp(params.exp, x - row_max); });
  if (!trace.exp_int.empty()) std::copy(exps.begin(), exps.end(), trace.exp_int.begin());
  if (params.kind != SoftmaxKind::kLogInt) return Normalize(exps, params, out, trace.exp16);
  Int128 sum = 0;
  for (const std::int64_t exp_int : exps) sum += exp_int;
  std::transform(exps.begin(), exps.end(), out.begin(),
                 [&](std::int64_t exp_int) { return LogCode(sum, exp_int, params.code_bits); });
  return 0;
}

}  // namespace qsim
