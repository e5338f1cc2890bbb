// A sum of non-negative reals that does not depend on their order: each is cut to a multiple of
// 2^-64 and added exactly.
#pragma once

#include <cmath>
#include <cstdint>

#include "golden/ops/int128.h"
#include "sim/namespaces.h"

namespace qsim::calibrate {

class FixedSum {
 public:
  FixedSum() = default;
  FixedSum(std::uint64_t whole, std::uint64_t fraction)
      : value_((static_cast<UInt128>(whole) << 64) | fraction) {}

  // 0 <= value < 2^40, at most 2^24 times.
  void Add(double value) {
    const double whole = std::floor(value);
    const double fraction = std::ldexp(value - whole, 64);
    value_ +=
        FixedSum(static_cast<std::uint64_t>(whole), static_cast<std::uint64_t>(fraction)).value_;
  }
  void Add(const FixedSum& other) { value_ += other.value_; }

  std::uint64_t whole() const { return static_cast<std::uint64_t>(value_ >> 64); }
  std::uint64_t fraction() const { return static_cast<std::uint64_t>(value_); }
  double ToDouble() const {
    return static_cast<double>(whole()) + std::ldexp(static_cast<double>(fraction()), -64);
  }

 private:
  UInt128 value_ = 0;
};

// The same of reals of either sign, and how many they were.
struct FixedMean {
  FixedSum above, below;  // of what is positive, and of what is negative
  std::int64_t count = 0;

  void Add(double sum, std::int64_t values) {
    (sum < 0 ? below : above).Add(std::fabs(sum));
    count += values;
  }
  void Add(const FixedMean& other) {
    above.Add(other.above);
    below.Add(other.below);
    count += other.count;
  }
  double ToDouble() const {
    return (above.ToDouble() - below.ToDouble()) / static_cast<double>(count);
  }
};

}  // namespace qsim::calibrate
