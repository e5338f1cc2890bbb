// What an output may hold whatever the operation gives: a constant, a number too much, other bits.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/explain/hypotheses.h"
#include "sim/explain/limits.h"

namespace qsim::explain {

// One number for each index along an axis (of the whole tensor: one), taken instead of the result
// or added to it before the range's limits; or what becomes of the result as it is stored.
struct ContentRule {
  enum class Kind : std::uint8_t {
    kGolden,
    kConstant,
    kOffset,
    kBits,
    kParts,
    kNegated,
    kMagnitude
  };
  Kind kind = Kind::kGolden;
  std::vector<std::int64_t> numbers = {};
  std::int64_t inner = 1;  // the number's index is element / inner % numbers.size()
  std::int64_t At(std::int64_t element) const {
    const auto count = static_cast<std::int64_t>(numbers.size());
    return numbers[static_cast<std::size_t>(element / inner % count)];
  }
  int bits = 0;  // of the output
  bool is_signed = true;
  std::int64_t cleared = 0, set = 0;  // kBits: of them
  int part = 0;                       // kParts: of so many bits, in reverse order
  // What is stored for a limited result.
  std::int64_t Stored(std::int64_t element, std::int64_t result) const;
};

// The golden rule, then the constants and offsets that most mismatches agree on: for the whole
// tensor and for each index along each axis; and what bits of an output may be.
void AddContentRules(const Shape& shape, const std::vector<std::string>& axis_names,
                     const OutputRange& range, std::span<const std::int64_t> golden,
                     std::span<const std::int64_t> actual, Coordinate& coordinate,
                     std::vector<ContentRule>& rules);

}  // namespace qsim::explain
