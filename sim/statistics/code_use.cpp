#include "sim/statistics/code_use.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "sim/error.h"

namespace qsim::statistics {
namespace {

std::int64_t CodesOf(QuantRange range) {
  return std::int64_t{range.qmax} - std::int64_t{range.qmin} + 1;
}

}  // namespace

CodeUse::CodeUse(QuantRange range) : range_(range) {
  const std::int64_t codes = CodesOf(range);
  if (codes < 1) throw InternalError("CodeUse: an empty range of codes");
  if (codes <= kMostCodes) counts_.assign(static_cast<std::size_t>(codes), 0);
}

void CodeUse::Add(const IntTensor& codes) {
  std::visit(
      [&](const auto& values) {
        if (values.empty()) return;
        const auto [low, high] = std::minmax_element(values.begin(), values.end());
        const std::int64_t min = *low;
        const std::int64_t max = *high;
        if (min < range_.qmin || max > range_.qmax) {
          throw InternalError("CodeUse: a code outside the range of its tensor");
        }
        min_ = count_ == 0 ? min : std::min(min_, min);
        max_ = count_ == 0 ? max : std::max(max_, max);
        count_ += static_cast<std::int64_t>(values.size());
        if (counts_.empty()) return;
        for (const auto value : values) {
          ++counts_[static_cast<std::size_t>(std::int64_t{value} - range_.qmin)];
        }
      },
      codes.storage());
}

void CodeUse::Merge(const CodeUse& other) {
  if (other.range_ != range_) throw InternalError("CodeUse: two ranges cannot be merged");
  if (other.count_ == 0) return;
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = count_ == 0 ? other.max_ : std::max(max_, other.max_);
  count_ += other.count_;
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

double CodeUse::RangeShare() const {
  if (count_ == 0) return 0;
  return static_cast<double>(max_ - min_ + 1) / static_cast<double>(CodesOf(range_));
}

std::optional<std::int64_t> CodeUse::DistinctCodes() const {
  if (counts_.empty()) return std::nullopt;
  return std::count_if(counts_.begin(), counts_.end(), [](std::int64_t n) { return n != 0; });
}

std::optional<double> CodeUse::EntropyBits() const {
  if (counts_.empty()) return std::nullopt;
  double bits = 0;
  for (const std::int64_t n : counts_) {
    if (n == 0) continue;
    const double p = static_cast<double>(n) / static_cast<double>(count_);
    bits -= p * std::log2(p);
  }
  return bits;
}

}  // namespace qsim::statistics
