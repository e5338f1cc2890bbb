#include "golden/ops/add.h"

#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

void Add(std::span<const std::int32_t> a, std::span<const std::int32_t> b,
         std::span<std::int32_t> out) {
  Require(!b.empty() && a.size() % b.size() == 0 && out.size() == a.size(),
          "Add: out must be as long as a, and a be whole lengths of b");
  for (std::size_t i = 0; i < a.size(); ++i) {
    Require(!__builtin_add_overflow(a[i], b[i % b.size()], &out[i]), "Add: a sum leaves 32 bits");
  }
}

}  // namespace qsim::golden
