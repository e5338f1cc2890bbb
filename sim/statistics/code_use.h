// How much of its integer range a tensor uses.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "golden/ops/requantize.h"
#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::statistics {

// Integer counts: any order and any split of the data gives the same state.
class CodeUse {
 public:
  // Codes are counted one by one where the range has at most this many.
  static constexpr std::int64_t kMostCodes = 1 << 16;

  explicit CodeUse(QuantRange range);

  // Every element lies within the range; anything else is an InternalError.
  void Add(const IntTensor& codes);
  void Merge(const CodeUse& other);

  QuantRange range() const { return range_; }
  std::int64_t count() const { return count_; }
  // 0 before the first element.
  std::int64_t min() const { return min_; }
  std::int64_t max() const { return max_; }

  // The share of the range between the smallest and the largest code seen, both included; 0..1.
  double RangeShare() const;
  // Of codes that are counted one by one: how many different ones were seen, and their entropy in
  // bits. The entropy says how many bits the tensor would need if they were all used well.
  std::optional<std::int64_t> DistinctCodes() const;
  std::optional<double> EntropyBits() const;

 private:
  QuantRange range_;
  std::int64_t count_ = 0;
  std::int64_t min_ = 0;
  std::int64_t max_ = 0;
  std::vector<std::int64_t> counts_;  // by code - qmin; empty where the range is too large
};

}  // namespace qsim::statistics
