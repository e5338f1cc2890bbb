// Integer matrix product with a bounded accumulator. docs/numerics.md section 3.
//
//   acc[m][n] = bias[n] + sum_k lhs[m][k] * rhs[k][n]
//               - rhs_zero[n] * sum_k lhs[m][k] - lhs_zero * sum_k rhs[k][n]
//               + K * lhs_zero * rhs_zero[n]
//             = bias[n] + sum_k (lhs[m][k] - lhs_zero) * (rhs[k][n] - rhs_zero[n])
//
// The additions happen in exactly that order: the bias first, then k ascending, then the three
// correction terms from left to right. The accumulator policy acts after each of them, so the order
// is part of the result under `saturate`. A correction whose zero point is 0 is not added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "golden/ops/names.h"
#include "golden/ops/one_or_each.h"

namespace qsim::golden {

enum class AccPolicy : std::uint8_t { kError, kWrap, kSaturate };
constexpr auto NamesOf(AccPolicy /*enum*/) {
  return std::to_array<NamedValue<AccPolicy>>({
      {AccPolicy::kError, "error"},
      {AccPolicy::kWrap, "wrap"},
      {AccPolicy::kSaturate, "saturate"},
  });
}

// A two's complement accumulator. bits in 16..32.
struct Accumulator {
  int bits = 32;
  AccPolicy policy = AccPolicy::kError;
  bool operator==(const Accumulator&) const = default;
};

// What the left operand means to the array's processing element.
//   kMultiply  lhs is an int8 or uint8 number.
//   kShift     lhs is a log2 code c in 0..16: 0..15 stand for 2^(15 - c), 16 for zero
//              (softmax `log_int`). lhs_zero must be 0; "lhs" in the formula above is the number
//              the code stands for.
enum class OperandMode : std::uint8_t { kMultiply, kShift };
constexpr auto NamesOf(OperandMode /*enum*/) {
  return std::to_array<NamedValue<OperandMode>>({
      {OperandMode::kMultiply, "multiply"},
      {OperandMode::kShift, "shift"},
  });
}

// A strided view of a matrix, so that heads and transposes need no copy. Strides count elements.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t row_stride = 0;
  std::int64_t col_stride = 1;

  T& operator()(std::int64_t r, std::int64_t c) const {
    return data[r * row_stride + c * col_stride];
  }
};

struct GemmParams {
  std::span<const std::int32_t> bias = {};      // empty (zeros) or one per column
  std::int32_t lhs_zero = 0;                    // -128..255
  std::span<const std::int32_t> rhs_zero = {};  // empty (0), one, or one per column; each -128..127
  OperandMode mode = OperandMode::kMultiply;
  Accumulator acc = {};

  std::int32_t RhsZero(std::int64_t column) const {
    if (rhs_zero.empty()) return 0;
    return EntryFor(rhs_zero, column);
  }
};

// Smallest and largest value an accumulator took, over every partial sum, before the policy acted.
struct AccRange {
  std::int64_t min = 0;
  std::int64_t max = 0;
  void Include(std::int64_t value) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  void Include(const AccRange& other) {
    Include(other.min);
    Include(other.max);
  }
};

// Thrown under AccPolicy::kError when a partial sum leaves the accumulator. The lowering proves
// that it cannot happen, so a caller that sees it ran an unproven program.
struct AccumulatorOverflow : std::overflow_error {
  using std::overflow_error::overflow_error;
};

// The number of bits a two's complement accumulator needs to hold every value of the range.
int BitsFor(const AccRange& range);

// Throws std::invalid_argument where shapes, zero points or the accumulator are out of their range.
void CheckGemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
               const GemmParams& params, MatrixView<std::int32_t> out);
void CheckGemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
               const GemmParams& params, MatrixView<std::int32_t> out);

// lhs is M x K, rhs K x N, out M x N. K <= 65535. `seen`, if not null, is widened by every partial
// sum. Throws std::invalid_argument where shapes, zero points,
// log2 codes or the accumulator are out of their range, AccumulatorOverflow as above.
void Gemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen = nullptr);
void Gemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen = nullptr);

}  // namespace qsim::golden
