// What may happen to the results of any operation at the ends of its output's range.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/explain/hypotheses.h"

namespace qsim::explain {

// The range of an output, within storage of just as many bits as it needs.
struct OutputRange {
  std::int64_t qmin = -128, qmax = 127;
  int Bits() const;
  bool IsSigned() const { return qmin < 0; }
};

struct LimitRule {
  enum class Kind : std::uint8_t {
    kSaturate,        // low .. high
    kSaturateStored,  // the same, then the storage's bits read with the output's own sign
    kWrap,
    kStoredUnsigned,  // saturated, then stored modulo 2^bits
    kWrapFirst,       // wrapped to `bits`, then saturated
    kInverted,        // saturated, then every bit the other
    kNone,
  };
  Kind kind = Kind::kSaturate;
  std::int64_t low = 0, high = 0;
  int bits = 0;
};

std::int64_t Limited(const LimitRule& rule, const OutputRange& range, std::int64_t value);

// Every rule, the range's own first. Other limits are solved: the largest and the smallest value
// that the actual outputs have.
void AddLimitRules(const OutputRange& range, std::span<const std::int64_t> actual,
                   Coordinate& coordinate, std::vector<LimitRule>& rules);

}  // namespace qsim::explain
