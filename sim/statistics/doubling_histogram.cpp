#include "sim/statistics/doubling_histogram.h"

#include <algorithm>
#include <cmath>

#include "sim/error.h"
#include "sim/namespaces.h"

namespace qsim::statistics {
namespace {

// No float needs bins wider than this, however few there are.
constexpr int kMaxExponent = 128;

// Of a stored state: no data has as many values, and thousands of states can be merged.
constexpr std::int64_t kMostCount = std::int64_t{1} << 50;

}  // namespace

DoublingHistogram::DoublingHistogram(std::int32_t half_bins) : half_bins_(half_bins) {
  if (half_bins < 2 || half_bins > kMaxHalfBins || half_bins % 2 != 0) {
    throw InternalError("a histogram has an even number of bins on either side of 0");
  }
  SetExponent(kMinExponent);
}

void DoublingHistogram::SetExponent(int exponent) {
  exponent_ = exponent;
  width_ = std::ldexp(1.0, exponent);
  inverse_width_ = std::ldexp(1.0, -exponent);
}

// The product is exact: a float times a power of two, in the range of normal doubles.
std::int64_t DoublingHistogram::BinOf(float value) const {
  const double position = static_cast<double>(value) * inverse_width_;
  const auto toward_zero = static_cast<std::int64_t>(position);
  return toward_zero - (position < static_cast<double>(toward_zero) ? 1 : 0);
}

bool DoublingHistogram::Fits(float value) const {
  const double position = static_cast<double>(value) * inverse_width_;
  return position >= -static_cast<double>(half_bins_) && position < static_cast<double>(half_bins_);
}

void DoublingHistogram::GrowTo(int exponent) {
  while (exponent_ < exponent) {
    if (!counts_.empty()) {
      const std::int64_t first = first_ >> 1;
      const auto bins = static_cast<std::int64_t>(counts_.size());
      for (std::int64_t i = 0; i < bins; ++i) {
        const auto to = static_cast<std::size_t>(((first_ + i) >> 1) - first);
        const std::int64_t count = counts_[static_cast<std::size_t>(i)];
        counts_[static_cast<std::size_t>(i)] = 0;
        counts_[to] += count;
      }
      counts_.resize(static_cast<std::size_t>(((first_ + bins - 1) >> 1) - first + 1));
      first_ = first;
    }
    SetExponent(exponent_ + 1);
  }
}

void DoublingHistogram::GrowFor(float value) {
  if (Fits(value)) return;
  // |value| < 2^e, so the bins hold it once N w >= 2^e, and one doubling earlier at best.
  int e = 0;
  std::frexp(static_cast<double>(value), &e);
  int log2_half = 0;
  while ((std::int64_t{1} << (log2_half + 1)) <= half_bins_) ++log2_half;
  GrowTo(std::max(exponent_, e - log2_half - 2));
  while (!Fits(value)) GrowTo(exponent_ + 1);
}

void DoublingHistogram::Cover(std::int64_t first, std::int64_t last) {
  if (counts_.empty()) {
    first_ = first;
    counts_.assign(static_cast<std::size_t>(last - first + 1), 0);
    return;
  }
  const std::int64_t end = first_ + static_cast<std::int64_t>(counts_.size());
  if (first >= first_ && last < end) return;
  // A quarter more than what is asked for: the ranges of data widen many times by a little.
  const std::int64_t spare = (std::max(last + 1, end) - std::min(first, first_)) / 4;
  const std::int64_t low =
      first < first_ ? std::max<std::int64_t>(first - spare, -half_bins_) : first_;
  const std::int64_t high =
      last >= end ? std::min<std::int64_t>(last + 1 + spare, half_bins_) : end;
  std::vector<std::int64_t> wider(static_cast<std::size_t>(high - low), 0);
  std::copy(counts_.begin(), counts_.end(),
            wider.begin() + static_cast<std::ptrdiff_t>(first_ - low));
  first_ = low;
  counts_ = std::move(wider);
}

void DoublingHistogram::Include(float min, float max) {
  // + 0: of -0 and 0 the state knows one only.
  min_ = (count_ == 0 ? min : std::min(min_, min)) + 0.0F;
  max_ = (count_ == 0 ? max : std::max(max_, max)) + 0.0F;
  GrowFor(min);
  GrowFor(max);
  Cover(BinOf(min), BinOf(max));
}

void DoublingHistogram::Add(std::span<const float> values) {
  if (values.empty()) return;
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  Include(*min, *max);
  for (const float value : values) ++counts_[static_cast<std::size_t>(BinOf(value) - first_)];
  count_ += static_cast<std::int64_t>(values.size());
}

void DoublingHistogram::Add(float value) {
  if (count_ == 0 || value < min_ || value > max_) Include(value, value);
  ++counts_[static_cast<std::size_t>(BinOf(value) - first_)];
  ++count_;
}

void DoublingHistogram::Merge(const DoublingHistogram& other) {
  if (other.half_bins_ != half_bins_) throw InternalError("histograms of different sizes");
  if (other.count_ == 0) return;
  if (other.exponent_ < exponent_) {
    DoublingHistogram wider = other;
    wider.GrowTo(exponent_);
    Merge(wider);
    return;
  }
  GrowTo(other.exponent_);
  Include(other.min_, other.max_);
  const std::span<const std::int64_t> theirs = other.bins();
  const auto offset = static_cast<std::size_t>(other.first_bin() - first_);
  for (std::size_t i = 0; i < theirs.size(); ++i) counts_[offset + i] += theirs[i];
  count_ += other.count_;
}

std::int64_t DoublingHistogram::first_bin() const { return count_ == 0 ? 0 : BinOf(min_); }

std::span<const std::int64_t> DoublingHistogram::bins() const {
  if (count_ == 0) return {};
  const std::int64_t first = BinOf(min_);
  return std::span(counts_).subspan(static_cast<std::size_t>(first - first_),
                                    static_cast<std::size_t>(BinOf(max_) - first + 1));
}

double DoublingHistogram::OrderStatistic(std::int64_t rank) const {
  if (rank <= 0) return static_cast<double>(min_);
  if (rank >= count_ - 1) return static_cast<double>(max_);
  std::int64_t below = 0;
  std::int64_t bin = first_bin();
  for (const std::int64_t count : bins()) {
    if (rank < below + count) {
      const double place =
          (static_cast<double>(rank - below) + 0.5) / static_cast<double>(count) * width_;
      return std::clamp(LowerEdge(bin) + place, static_cast<double>(min_),
                        static_cast<double>(max_));
    }
    below += count;
    ++bin;
  }
  return static_cast<double>(max_);
}

double DoublingHistogram::Quantile(double q) const {
  if (count_ == 0) throw InternalError("the quantile of no values");
  const double position = q * static_cast<double>(count_ - 1);
  const auto rank = static_cast<std::int64_t>(std::floor(position));
  const double lower = OrderStatistic(rank);
  const double part = position - static_cast<double>(rank);
  return part == 0 ? lower : lower + part * (OrderStatistic(rank + 1) - lower);
}

bool DoublingHistogram::operator==(const DoublingHistogram& other) const {
  return half_bins_ == other.half_bins_ && exponent_ == other.exponent_ && count_ == other.count_ &&
         min_ == other.min_ && max_ == other.max_ && std::ranges::equal(bins(), other.bins());
}

DoublingHistogram::State DoublingHistogram::state() const {
  return {half_bins_, exponent_, min_, max_, first_bin(), {bins().begin(), bins().end()}};
}

DoublingHistogram DoublingHistogram::FromState(const State& state) {
  const auto check = [](bool holds, const char* what) {
    if (!holds) throw InputError(what);
  };
  check(state.half_bins >= 2 && state.half_bins <= kMaxHalfBins && state.half_bins % 2 == 0,
        "a histogram's half_bins must be even and within 2..2^20");
  check(state.exponent >= kMinExponent && state.exponent <= kMaxExponent,
        "a histogram's exponent must be within -149..128");
  check(std::isfinite(state.min) && std::isfinite(state.max) && state.min <= state.max,
        "a histogram's min and max must be finite and in order");
  DoublingHistogram histogram(state.half_bins);
  if (state.counts.empty()) {
    check(state.exponent == kMinExponent && state.min == 0 && state.max == 0 && state.first == 0,
          "a histogram without counts must be an empty one");
    return histogram;
  }
  histogram.Include(state.min, state.max);
  check(histogram.exponent_ == state.exponent, "a histogram's exponent must follow from its range");
  // In this order: after the first comparison the second cannot overflow.
  check(histogram.BinOf(state.min) == state.first &&
            histogram.BinOf(state.max) - state.first + 1 ==
                static_cast<std::int64_t>(state.counts.size()),
        "a histogram's bins must span its range");
  check(state.counts.front() > 0 && state.counts.back() > 0,
        "a histogram's smallest and largest value must be counted");
  for (const std::int64_t count : state.counts) {
    check(count >= 0 && count <= kMostCount - histogram.count_,
          "a histogram's counts must not be negative, and their sum at most 2^50");
    histogram.count_ += count;
  }
  histogram.first_ = state.first;
  histogram.counts_ = state.counts;
  return histogram;
}

}  // namespace qsim::statistics
