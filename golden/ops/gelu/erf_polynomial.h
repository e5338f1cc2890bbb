// The second-degree polynomial of erf that I-BERT, ITA and Deeploy share: sign(x) times a parabola
// in |x| that ends in its vertex at |x| = -b. docs/numerics.md section 7.2.
#pragma once

#include <algorithm>
#include <cstdint>

#include "golden/ops/int128.h"

namespace qsim::golden {

inline std::int64_t SignOf(std::int64_t x) { return (x > 0) - (x < 0); }

// (min(|x|, -b) + b)^2. |x| <= 2^32, b in -2^31..-1: at most 2^62.
inline Int128 ClippedSquare(std::int64_t x, std::int64_t b) {
  const Int128 distance = std::min(x < 0 ? -x : x, -b) + b;
  return distance * distance;
}

}  // namespace qsim::golden
