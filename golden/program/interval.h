// Intervals of integers, for proofs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace qsim::golden {

// Sums of independent terms add their intervals exactly.
struct Interval {
  std::int64_t lo = 0;
  std::int64_t hi = 0;
};

constexpr Interval operator+(Interval a, Interval b) { return {a.lo + b.lo, a.hi + b.hi}; }
constexpr Interval operator*(Interval a, std::int64_t factor) {
  return factor >= 0 ? Interval{a.lo * factor, a.hi * factor}
                     : Interval{a.hi * factor, a.lo * factor};
}

// Extremes over a rectangle of a function that is linear in each argument, or keeps the order of
// such a one: they lie at its corners.
template <typename Function>
Interval Corners(Interval a, Interval b, Function f) {
  const std::array<std::int64_t, 4> values = {f(a.lo, b.lo), f(a.lo, b.hi), f(a.hi, b.lo),
                                              f(a.hi, b.hi)};
  const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
  return {*lo, *hi};
}

}  // namespace qsim::golden
