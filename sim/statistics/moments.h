// Count, extremes, mean and standard deviation in one pass.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::statistics {

// Pieces are added and merged by the pairwise update of Chan, Golub and LeVeque, "Updating formulae
// and a pairwise algorithm for computing sample variances", Stanford STAN-CS-79-773 (1979), which
// loses nothing to cancellation where the mean is large beside the deviation. Sums of doubles
// depend on their order in the last bits: for results that depend on neither threads nor batch,
// accumulate each image by itself and merge in image order.
class Moments {
 public:
  // Finite values. Adding a span is merging its moments.
  void Add(std::span<const float> values) { AddSpan(values); }
  void Add(std::span<const double> values) { AddSpan(values); }
  void Merge(const Moments& later);

  std::int64_t count() const { return count_; }
  // All 0 before the first value.
  double min() const { return min_; }
  double max() const { return max_; }
  double mean() const { return mean_; }
  // Of the population: sqrt(sum (x - mean)^2 / count). Exactly 0 where all values are equal.
  double StandardDeviation() const;

 private:
  template <typename T>
  void AddSpan(std::span<const T> values);

  std::int64_t count_ = 0;
  double min_ = 0;
  double max_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // sum (x - mean)^2
};

}  // namespace qsim::statistics
