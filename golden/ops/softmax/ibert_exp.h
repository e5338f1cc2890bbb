// I-BERT's integer exponential, shared by its softmax and by FQ-ViT's. docs/numerics.md section
// 5.1.
#pragma once

#include <cstdint>

#include "golden/ops/fields.h"

namespace qsim::golden {

// Polynomial constants of a score scale s:
//   x0 = floor(-0.6931 / s) < 0, b = floor(2.70731.. / s), c = floor(2.79211.. / s^2), n = 30.
// Ranges: -2^20 <= x0 <= -1, -(x0 + 1) <= b < 2^23, 1 <= c < 2^33, 0 <= n <= 30, so that every
// exponential lies in 0 .. c << n < 2^63.
struct IbertExp {
  std::int32_t x0 = -1;
  std::int64_t b = 0;
  std::int64_t c = 0;
  int n = 30;
  bool operator==(const IbertExp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"x0", Role::kCoefficient, 32, true, Axis::kHead}, self.x0);
    v(Field{"b", Role::kCoefficient, 32, true, Axis::kHead}, self.b);
    v(Field{"c", Role::kCoefficient, 64, true, Axis::kHead}, self.c);
    v(Field{"n", Role::kCoefficient, 8, false, Axis::kHead}, self.n);
  }
};

// Throws std::invalid_argument where a constant is outside these ranges.
void CheckIbertExp(const IbertExp& exp);

// Equations 5.2 to 5.4: the exponential of x_minus_max in -(2^32 - 1) .. 0, in units of
// 1 / (c << n). `exp` must have passed CheckIbertExp.
std::int64_t EvaluateIbertExp(const IbertExp& exp, std::int64_t x_minus_max);

}  // namespace qsim::golden
