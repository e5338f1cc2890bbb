#include "golden/ops/multiply.h"

#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

void Multiply(std::span<const std::int32_t> a, std::int32_t a_zero, std::span<const std::int32_t> b,
              std::int32_t b_zero, std::span<std::int32_t> out) {
  Require(!b.empty() && a.size() % b.size() == 0 && out.size() == a.size(),
          "Multiply: out must be as long as a, and b a divisor of that");
  const std::size_t each = a.size() / b.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    Require(!__builtin_mul_overflow(std::int64_t{a[i]} - a_zero, std::int64_t{b[i / each]} - b_zero,
                                    &out[i]),
            "Multiply: a product leaves 32 bits");
  }
}

}  // namespace qsim::golden
