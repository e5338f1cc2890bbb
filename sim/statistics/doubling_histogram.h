// A histogram that does not depend on the order in which values came, nor on how they were split:
// integer counts in bins of a power-of-two width, which doubles by exact pair merging.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qsim::statistics {

// Bins [-N, N), N = half_bins(); bin j counts the values with floor(x / w) = j, w = 2^exponent().
// The exponent is the smallest one, at least kMinExponent, with which every value seen fits. When a
// value does not fit, w doubles and the bins 2j and 2j + 1 become j: floor(floor(x / w) / 2) =
// floor(x / 2w), so the counts are those of a histogram that had the wider bins from the start.
// The state is therefore a function of the values alone, and so is everything computed from it.
//
// Only the bins from that of the smallest value to that of the largest take memory.
class DoublingHistogram {
 public:
  // The smallest positive float is 2^-149: below that nothing is left to resolve.
  static constexpr int kMinExponent = -149;
  static constexpr std::int32_t kDefaultHalfBins = 2048;
  static constexpr std::int32_t kMaxHalfBins = 1 << 20;

  // half_bins: even, 2..kMaxHalfBins; anything else is an InternalError.
  explicit DoublingHistogram(std::int32_t half_bins = kDefaultHalfBins);

  // Finite values only: NaN and Inf are the caller's errors, reported with a tensor and an index.
  void Add(std::span<const float> values);
  void Add(float value);
  // As if the other's values had been added here. Both have the same half_bins().
  void Merge(const DoublingHistogram& other);

  std::int32_t half_bins() const { return half_bins_; }
  int exponent() const { return exponent_; }
  double width() const { return width_; }
  std::int64_t count() const { return count_; }
  // Exact. 0 before the first value.
  float min() const { return min_; }
  float max() const { return max_; }

  // The counts of the bins first_bin(), first_bin() + 1, ...: from that of the smallest value to
  // that of the largest. Empty before the first value.
  std::int64_t first_bin() const;
  std::span<const std::int64_t> bins() const;
  // Bin j holds LowerEdge(j) <= x < LowerEdge(j + 1).
  double LowerEdge(std::int64_t bin) const { return static_cast<double>(bin) * width_; }

  // The quantile q in [0, 1], linear between the two nearest order statistics; the values of a bin
  // are taken to be spread evenly over it. At most one width() from the quantile of the values
  // themselves; q = 0 and q = 1 are exact. At least one value must have been seen.
  double Quantile(double q) const;

  // Equal states are equal in every observable way.
  bool operator==(const DoublingHistogram& other) const;

  // All of a histogram. `first` and `counts` are first_bin() and bins().
  struct State {
    std::int32_t half_bins = kDefaultHalfBins;
    int exponent = kMinExponent;
    float min = 0;
    float max = 0;
    std::int64_t first = 0;
    std::vector<std::int64_t> counts;
  };
  State state() const;
  // Throws InputError, without a file's name, for a state that no values lead to.
  static DoublingHistogram FromState(const State& state);

 private:
  std::int64_t BinOf(float value) const;
  bool Fits(float value) const;
  void SetExponent(int exponent);
  void GrowTo(int exponent);
  void GrowFor(float value);
  void Cover(std::int64_t first, std::int64_t last);
  void Include(float min, float max);
  double OrderStatistic(std::int64_t rank) const;

  std::int32_t half_bins_;
  int exponent_ = kMinExponent;
  double width_ = 0;
  double inverse_width_ = 0;
  std::int64_t count_ = 0;
  float min_ = 0;
  float max_ = 0;
  // Covers the touched bins, with room on either side so that growing is cheap.
  std::int64_t first_ = 0;
  std::vector<std::int64_t> counts_;
};

}  // namespace qsim::statistics
