// Where the mismatches are, whatever explains them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sim/explain/comparison.h"

namespace qsim::explain {

struct Where {
  std::string words;          // "for head 1 and 5, and where the row is odd"
  std::int64_t inside = 0;    // mismatches there
  std::int64_t elements = 0;  // and elements
  int axes = 0;
  std::function<bool(std::int64_t)> contains;
};

// A set along each axis, or an end of the range, that nearly all mismatches lie in and far fewer of
// the elements; nullopt where they are spread.
std::optional<Where> FindWhere(const Comparison& comparison);

}  // namespace qsim::explain
