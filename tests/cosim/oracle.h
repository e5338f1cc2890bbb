// A second derivation of the arithmetic that the RTL implements, independent of golden/ops: plain
// loops in 128-bit integers, rounding by division and comparison of remainders, the policies by
// division.
#pragma once

#include <cstdint>
#include <vector>

#include "golden/ops/gemm.h"
#include "golden/ops/int128.h"
#include "golden/ops/rounding.h"
#include "tests/namespaces.h"

namespace qsim::cosim::oracle {

// A matrix product's arguments with the operands as plain numbers (lhs: codes in shift mode).
struct Product {
  std::int64_t m = 0, k = 0, n = 0;
  std::vector<int> lhs, rhs;           // row-major
  std::vector<std::int32_t> bias;      // empty or n
  std::vector<std::int32_t> rhs_zero;  // empty, 1 or n
  std::int32_t lhs_zero = 0;
  OperandMode mode = OperandMode::kMultiply;
  Accumulator acc;
};

struct ProductResult {
  std::vector<std::int32_t> out;
  std::int64_t overflows = 0;  // sums that left the accumulator
};

inline Int128 FloorDivide(Int128 a, Int128 b) {
  Int128 q = a / b;
  if (a % b != 0 && ((a < 0) != (b < 0))) --q;
  return q;
}

// docs/numerics.md (3.2), (3.3). Under policy error the value goes on modulo 2^32.
inline ProductResult Gemm(const Product& p) {
  ProductResult result;
  const Int128 half = Int128{1} << (p.acc.bits - 1);
  const auto bounded = [&](Int128 sum) {
    if (sum >= -half && sum < half) return sum;
    ++result.overflows;
    if (p.acc.policy == AccPolicy::kSaturate) return sum < 0 ? -half : half - 1;
    const Int128 reach = p.acc.policy == AccPolicy::kWrap ? half : Int128{1} << 31;
    return sum - 2 * reach * FloorDivide(sum + reach, 2 * reach);
  };
  for (std::int64_t m = 0; m < p.m; ++m) {
    for (std::int64_t n = 0; n < p.n; ++n) {
      const auto column = static_cast<std::size_t>(n);
      const Int128 rhs_zero =
          p.rhs_zero.empty() ? 0 : p.rhs_zero[p.rhs_zero.size() == 1 ? 0 : column];
      Int128 acc = bounded(p.bias.empty() ? 0 : p.bias[column]);
      Int128 row_sum = 0;
      Int128 col_sum = 0;
      for (std::int64_t k = 0; k < p.k; ++k) {
        const int code = p.lhs[static_cast<std::size_t>(m * p.k + k)];
        Int128 lhs = code;
        if (p.mode == OperandMode::kShift) {
          lhs = code == 16 ? 0 : 32768;
          for (int i = 0; i < code && code < 16; ++i) lhs /= 2;
        }
        const Int128 rhs = p.rhs[static_cast<std::size_t>(k * p.n + n)];
        acc = bounded(acc + lhs * rhs);
        row_sum += lhs;
        col_sum += rhs;
      }
      if (rhs_zero != 0) acc = bounded(acc - rhs_zero * row_sum);
      if (p.lhs_zero != 0) acc = bounded(acc - p.lhs_zero * col_sum);
      if (rhs_zero != 0 && p.lhs_zero != 0) acc = bounded(acc + p.k * p.lhs_zero * rhs_zero);
      result.out.push_back(static_cast<std::int32_t>(acc));
    }
  }
  return result;
}

// docs/numerics.md section 2: the neighbours of value / 2^shift, and which of them.
inline Int128 RoundShift(Int128 value, int shift, Rounding rounding) {
  const Int128 divisor = Int128{1} << shift;
  const Int128 below = FloorDivide(value, divisor);
  const Int128 twice_rest = 2 * (value - below * divisor);
  if (twice_rest == 0) return below;
  bool up = twice_rest > divisor;
  if (twice_rest == divisor) {
    up = rounding == Rounding::kHalfUp || (rounding == Rounding::kHalfAway && value > 0) ||
         (rounding == Rounding::kHalfEven && below % 2 != 0);
  }
  if (rounding == Rounding::kFloor) up = false;
  if (rounding == Rounding::kTowardZero) up = value < 0;
  return up ? below + 1 : below;
}

// docs/numerics.md (4.1).
inline std::int32_t Requantize(std::int64_t x_minus_zero, std::int64_t m, int shift,
                               std::int64_t addend, std::int32_t zero, Rounding rounding,
                               QuantRange range, bool* saturated) {
  const Int128 y = zero + oracle::RoundShift(Int128{x_minus_zero} * m + addend, shift, rounding);
  *saturated = y < range.qmin || y > range.qmax;
  if (y < range.qmin) return range.qmin;
  if (y > range.qmax) return range.qmax;
  return static_cast<std::int32_t>(y);
}

}  // namespace qsim::cosim::oracle
