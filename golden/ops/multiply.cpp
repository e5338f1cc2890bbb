#include "golden/ops/multiply.h"

#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

void Multiply(std::span<const std::int32_t> a, std::int32_t a_zero, std::span<const std::int32_t> b,
              std::int32_t b_zero, std::span<std::int32_t> out) {
  Require(a.size() == b.size() && out.size() == a.size(), "Multiply: a, b and out must be as long");
  for (std::size_t i = 0; i < a.size(); ++i) {
    Require(
        !__builtin_mul_overflow(std::int64_t{a[i]} - a_zero, std::int64_t{b[i]} - b_zero, &out[i]),
        "Multiply: a product leaves 32 bits");
  }
}

}  // namespace qsim::golden
