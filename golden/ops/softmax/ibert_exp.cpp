#include "golden/ops/softmax/ibert_exp.h"

#include <algorithm>
#include <cassert>

#include "golden/ops/require.h"

namespace qsim::golden {

void CheckIbertExp(const IbertExp& exp) {
  Require(exp.x0 <= -1 && exp.x0 >= -(1 << 20), "Softmax: x0 must be in -2^20..-1");
  Require(exp.b >= -(std::int64_t{exp.x0} + 1) && exp.b < (1 << 23),
          "Softmax: b must be in -(x0 + 1)..2^23 - 1");
  Require(exp.c >= 1 && exp.c < (std::int64_t{1} << 33), "Softmax: c must be in 1..2^33 - 1");
  Require(exp.n >= 0 && exp.n <= 30, "Softmax: n must be in 0..30");
}

std::int64_t EvaluateIbertExp(const IbertExp& exp, std::int64_t x_minus_max) {
  const std::int64_t d = std::max(x_minus_max, std::int64_t{exp.n} * exp.x0);
  const std::int64_t q = d / exp.x0;  // both are <= 0, so this truncation is a floor
  const std::int64_t r = d - q * exp.x0;
  const std::int64_t polynomial = r * (r + exp.b) + exp.c;
  assert(q >= 0 && q <= exp.n && polynomial <= exp.c);
  return std::max(polynomial, std::int64_t{0}) << (exp.n - q);
}

}  // namespace qsim::golden
