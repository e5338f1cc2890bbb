// Inputs on which rounding rules differ, found by solving for them: exact ties of 62-bit products
// do not turn up by chance.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "golden/ops/int128.h"
#include "sim/namespaces.h"

namespace qsim::explain {

// The smallest x >= 0 with low <= (a x) mod m <= high, where 0 <= a < m <= 2^63 and 0 <= low <=
// high < m; nullopt when there is none. As Euclid's algorithm: O(log m) steps.
std::optional<Int128> FirstInWindow(Int128 a, Int128 m, Int128 low, Int128 high);

// x * multiplier, to be rounded by `shift`; x has `x_bits`, two's complement.
struct NearTies {
  std::int64_t multiplier = 1;
  int shift = 0;
  int x_bits = 32;
};

// Inputs worth trying, the most telling first: exact ties and products at every power-of-two
// distance from a tie or from an integer, of both signs; powers of two and their neighbours; the
// extremes; some others.
std::vector<std::int64_t> CandidateInputs(const NearTies& ties);

}  // namespace qsim::explain
