#include "sim/statistics/moments.h"

#include <algorithm>
#include <cmath>

#include "sim/namespaces.h"

namespace qsim::statistics {

template <typename T>
void Moments::AddSpan(std::span<const T> values) {
  if (values.empty()) return;
  Moments piece;
  piece.count_ = static_cast<std::int64_t>(values.size());
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  piece.min_ = static_cast<double>(*min);
  piece.max_ = static_cast<double>(*max);
  double sum = 0;
  for (const T value : values) sum += static_cast<double>(value);
  piece.mean_ = sum / static_cast<double>(piece.count_);
  for (const T value : values) {
    const double deviation = static_cast<double>(value) - piece.mean_;
    piece.squares_ += deviation * deviation;
  }
  Merge(piece);
}

template void Moments::AddSpan(std::span<const float>);
template void Moments::AddSpan(std::span<const double>);

void Moments::Merge(const Moments& later) {
  if (later.count_ == 0) return;
  if (count_ == 0) {
    *this = later;
    return;
  }
  const auto n = static_cast<double>(count_);
  const auto m = static_cast<double>(later.count_);
  const double delta = later.mean_ - mean_;
  squares_ += later.squares_ + delta * delta * (n * m / (n + m));
  mean_ += delta * (m / (n + m));
  count_ += later.count_;
  min_ = std::min(min_, later.min_);
  max_ = std::max(max_, later.max_);
}

double Moments::StandardDeviation() const {
  // A mean is rounded, so the sum of a constant's squares need not vanish.
  if (count_ == 0 || min_ == max_) return 0;
  return std::sqrt(squares_ / static_cast<double>(count_));
}

}  // namespace qsim::statistics
