#include "golden/ops/column_sum.h"

#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

void ColumnSum(std::span<const std::int32_t> in, std::int64_t first,
               std::span<const std::int32_t> zero, std::span<std::int32_t> out) {
  const std::size_t width = out.size();
  Require(width >= 1 && in.size() % width == 0, "ColumnSum: in must hold whole rows");
  Require(first >= 0 && static_cast<std::size_t>(first) < in.size() / width,
          "ColumnSum: first must be a row");
  Require(zero.size() == 1 || zero.size() == width, "ColumnSum: needs one zero, or one a column");
  for (std::size_t c = 0; c < width; ++c) {
    std::int64_t sum = 0;
    for (std::size_t i = static_cast<std::size_t>(first) * width + c; i < in.size(); i += width)
      sum += std::int64_t{in[i]} - zero[zero.size() == 1 ? 0 : c];
    Require(sum >= INT32_MIN && sum <= INT32_MAX, "ColumnSum: a sum leaves 32 bits");
    out[c] = static_cast<std::int32_t>(sum);
  }
}

}  // namespace qsim::golden
