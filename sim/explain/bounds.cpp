#include "sim/explain/bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace qsim::explain {
namespace {

// The part of a convex polygon where a x + b y <= limit.
std::vector<Point> Clipped(const std::vector<Point>& polygon, double a, double b, double limit) {
  std::vector<Point> kept;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point& p = polygon[i];
    const Point& q = polygon[(i + 1) % polygon.size()];
    const double over_p = a * p.x + b * p.y - limit;
    const double over_q = a * q.x + b * q.y - limit;
    if (over_p <= 0) kept.push_back(p);
    if ((over_p < 0 && over_q > 0) || (over_p > 0 && over_q < 0)) {
      const double t = over_p / (over_p - over_q);
      kept.push_back({p.x + t * (q.x - p.x), p.y + t * (q.y - p.y)});
    }
  }
  return kept;
}

}  // namespace

std::optional<Interval> CommonInterval(const std::vector<Interval>& intervals, double share) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Interval common = {-kInfinity, kInfinity};
  for (const Interval& one : intervals) {
    common.low = std::max(common.low, one.low);
    common.high = std::min(common.high, one.high);
  }
  if (common.low > common.high) {
    // The point that most of them contain: openings before closings at the same place.
    std::vector<std::pair<double, int>> ends;
    for (const Interval& one : intervals) {
      ends.emplace_back(one.low, -1);
      ends.emplace_back(one.high, 1);
    }
    std::sort(ends.begin(), ends.end());
    std::int64_t open = 0;
    std::int64_t most = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      open -= ends[i].second;
      if (open <= most) continue;
      most = open;
      common = {ends[i].first, ends[i + 1].first};
    }
    if (static_cast<double>(most) < share * static_cast<double>(intervals.size()))
      return std::nullopt;
  }
  if (std::isinf(common.low) || std::isinf(common.high)) return std::nullopt;
  return common;
}

std::optional<Point> CommonPoint(const std::vector<Strip>& strips, double half_width) {
  const double low = 1 - half_width;
  const double high = 1 + half_width;
  std::vector<Point> polygon = {{low, low}, {high, low}, {high, high}, {low, high}};
  std::size_t passed_over = 0;
  for (const Strip& strip : strips) {
    std::vector<Point> kept = polygon;
    if (!std::isinf(strip.high)) kept = Clipped(kept, strip.a, strip.b, strip.high);
    if (!std::isinf(strip.low) && !kept.empty())
      kept = Clipped(kept, -strip.a, -strip.b, -strip.low);
    if (kept.empty()) {
      if (++passed_over * 100 > strips.size()) return std::nullopt;
    } else {
      polygon = std::move(kept);
    }
  }
  Point middle;
  for (const Point& corner : polygon) {
    if (corner.x == low || corner.x == high || corner.y == low || corner.y == high)
      return std::nullopt;  // not bounded from every side
    middle.x += corner.x / static_cast<double>(polygon.size());
    middle.y += corner.y / static_cast<double>(polygon.size());
  }
  return middle;
}

std::optional<std::int64_t> RoundestIn(const Interval& interval) {
  constexpr double kLimit = 4e18;
  const auto low = static_cast<std::int64_t>(std::ceil(std::max(interval.low, -kLimit)));
  const auto high = static_cast<std::int64_t>(std::floor(std::min(interval.high, kLimit)));
  if (low > high) return std::nullopt;
  for (int bits = 61; bits >= 0; --bits) {
    const std::int64_t rounded = (high >> bits) << bits;
    if (rounded >= low) return rounded;
  }
  return low;
}

}  // namespace qsim::explain
