// Numbers that are solved for, not searched: every element allows an interval, and what is common
// to nearly all of them is the answer.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/namespaces.h"

namespace qsim::explain {

struct Interval {
  double low = 0, high = 0;
};

// What all intervals have in common; else what most of them have, if they are at least this share.
std::optional<Interval> CommonInterval(const std::vector<Interval>& intervals, double share);

// low <= a x + b y <= high
struct Strip {
  double a = 0, b = 0, low = 0, high = 0;
};
struct Point {
  double x = 0, y = 0;
};
// The middle of what nearly all strips have in common within the square of this half width around
// (1, 1): one that would leave nothing is passed over, and at most one in a hundred may be.
std::optional<Point> CommonPoint(const std::vector<Strip>& strips, double half_width);

// The integer in low .. high with the most factors of two; nullopt where there is none.
std::optional<std::int64_t> RoundestIn(const Interval& interval);

}  // namespace qsim::explain
