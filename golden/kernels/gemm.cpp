#include "golden/kernels/gemm.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include "golden/ops/require.h"

namespace qsim::golden::kernels {
namespace {

// Everything that belongs to one output column.
template <typename Wide>
struct Column {
  std::vector<Wide> values;  // rhs[0..K)[n]
  std::int64_t sum = 0;
  std::int64_t magnitude_sum = 0;
};

template <typename Wide>
void Load(Column<Wide>& column, MatrixView<const std::int8_t> rhs, std::int64_t n) {
  column.sum = 0;
  column.magnitude_sum = 0;
  for (std::int64_t k = 0; k < rhs.rows; ++k) {
    const std::int32_t value = rhs(k, n);
    column.values[static_cast<std::size_t>(k)] = static_cast<Wide>(value);
    column.sum += value;
    column.magnitude_sum += std::abs(value);
  }
}

// With 16-bit operands compilers know an instruction for this.
template <typename Wide>
std::int32_t Dot(const Wide* lhs, const Wide* rhs, std::int64_t depth) {
  std::int32_t sum = 0;
  for (std::int64_t k = 0; k < depth; ++k) sum += lhs[k] * rhs[k];
  return sum;
}

// The same step by step from `start`, with every partial sum seen.
template <typename Wide>
std::int32_t WatchedDot(const Wide* lhs, const Wide* rhs, std::int64_t depth, std::int32_t start,
                        AccRange& seen) {
  std::int32_t sum = start;
  std::int32_t lowest = start;
  std::int32_t highest = start;
  for (std::int64_t k = 0; k < depth; ++k) {
    sum += lhs[k] * rhs[k];
    lowest = std::min(lowest, sum);
    highest = std::max(highest, sum);
  }
  seen.Include({lowest, highest});
  return sum;
}

// The number that a left operand stands for.
template <typename Lhs>
std::int32_t Decode(Lhs lhs, OperandMode mode) {
  if (mode == OperandMode::kMultiply) return lhs;
  Require(lhs <= 16, "Gemm: a log2 code must be in 0..16");
  return lhs == 16 ? 0 : 1 << (15 - lhs);
}

// `max_lhs` is the largest magnitude of a left operand.
template <typename Wide, typename Lhs>
void Product(MatrixView<const Lhs> lhs, MatrixView<const std::int8_t> rhs, std::int64_t max_lhs,
             const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  // The left operand, decoded, row after row without gaps, and the sum of each row.
  std::vector<Wide> rows;
  std::vector<std::int64_t> row_sums;
  rows.reserve(static_cast<std::size_t>(lhs.rows * lhs.cols));
  for (std::int64_t m = 0; m < lhs.rows; ++m) {
    std::int64_t sum = 0;
    for (std::int64_t k = 0; k < lhs.cols; ++k) {
      const std::int32_t value = Decode(lhs(m, k), params.mode);
      rows.push_back(static_cast<Wide>(value));
      sum += value;
    }
    row_sums.push_back(sum);
  }
  const std::int64_t acc_max = (std::int64_t{1} << (params.acc.bits - 1)) - 1;
  const std::int64_t lhs_zero = params.lhs_zero;
  Column<Wide> column{std::vector<Wide>(static_cast<std::size_t>(rhs.rows))};
  for (std::int64_t n = 0; n < rhs.cols; ++n) {
    Load(column, rhs, n);
    const std::int64_t bias = params.bias.empty() ? 0 : params.bias[static_cast<std::size_t>(n)];
    const std::int64_t rhs_zero = params.RhsZero(n);
    const std::int64_t constant = rhs.rows * lhs_zero * rhs_zero;
    // No sum of any of the addends, in any order, exceeds this.
    const std::int64_t worst = std::abs(bias) + max_lhs * column.magnitude_sum +
                               std::abs(rhs_zero) * max_lhs * lhs.cols +
                               std::abs(lhs_zero * column.sum) + std::abs(constant);
    if (worst > acc_max) {
      GemmParams one = params;
      const auto at = static_cast<std::size_t>(n);
      if (!params.bias.empty()) one.bias = params.bias.subspan(at, 1);
      if (params.rhs_zero.size() > 1) one.rhs_zero = params.rhs_zero.subspan(at, 1);
      golden::Gemm(lhs, {rhs.data + n * rhs.col_stride, rhs.rows, 1, rhs.row_stride, rhs.col_stride},
                 one, {out.data + n * out.col_stride, out.rows, 1, out.row_stride, out.col_stride},
                 seen);
      continue;
    }
    for (std::int64_t m = 0; m < lhs.rows; ++m) {
      const Wide* row = rows.data() + m * lhs.cols;
      const std::int64_t corrections[] = {-rhs_zero * row_sums[static_cast<std::size_t>(m)],
                                          -lhs_zero * column.sum, constant};
      std::int64_t sum = 0;
      if (seen == nullptr) {
        sum = Dot(row, column.values.data(), lhs.cols) + bias;
      } else {
        sum =
            WatchedDot(row, column.values.data(), lhs.cols, static_cast<std::int32_t>(bias), *seen);
      }
      for (const std::int64_t correction : corrections) {
        sum += correction;
        if (seen != nullptr) seen->Include(sum);
      }
      out(m, n) = static_cast<std::int32_t>(sum);
    }
  }
}

template <typename Lhs>
void Dispatch(MatrixView<const Lhs> lhs, MatrixView<const std::int8_t> rhs,
              const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  CheckGemm(lhs, rhs, params, out);
  if (params.mode == OperandMode::kShift) {
    Product<std::int32_t>(lhs, rhs, 1 << 15, params, out, seen);
  } else {
    Product<std::int16_t>(lhs, rhs, std::is_signed_v<Lhs> ? 128 : 255, params, out, seen);
  }
}

}  // namespace

void Gemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  Dispatch(lhs, rhs, params, out, seen);
}

void Gemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  Dispatch(lhs, rhs, params, out, seen);
}

}  // namespace qsim::golden::kernels
