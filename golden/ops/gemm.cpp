#include "golden/ops/gemm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <type_traits>
#include <vector>

#include "golden/ops/require.h"

namespace qsim {
namespace {

// The one place where a value wraps: sign-extends the low `bits` of value.
std::int64_t Wrap(std::int64_t value, int bits) {
  const auto shift = static_cast<unsigned>(64 - bits);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << shift) >> shift;
}

// The accumulator of one output element: adds, watches and applies the policy, step by step.
class SteppedAccumulator {
 public:
  explicit SteppedAccumulator(Accumulator acc)
      : acc_(acc), max_((std::int64_t{1} << (acc.bits - 1)) - 1), min_(-max_ - 1) {}

  void Reset() { value_ = 0; }
  void Add(std::int64_t addend) {
    const std::int64_t sum = value_ + addend;
    seen_.Include(sum);
    value_ = sum >= min_ && sum <= max_ ? sum : Apply(sum);
  }
  std::int64_t value() const { return value_; }
  const AccRange& seen() const { return seen_; }

 private:
  std::int64_t Apply(std::int64_t sum) const {
    if (acc_.policy == AccPolicy::kWrap) return Wrap(sum, acc_.bits);
    if (acc_.policy == AccPolicy::kSaturate) return std::clamp(sum, min_, max_);
    throw AccumulatorOverflow("accumulator left its width under policy error");
  }

  Accumulator acc_;
  std::int64_t max_;
  std::int64_t min_;
  std::int64_t value_ = 0;
  AccRange seen_;
};

// The number that a left operand stands for.
template <typename Lhs>
std::int32_t Decode(Lhs lhs, OperandMode mode) {
  if (mode == OperandMode::kMultiply) return lhs;
  Require(lhs <= 16, "Gemm: a log2 code must be in 0..16");
  return lhs == 16 ? 0 : 1 << (15 - lhs);
}

// The left operand, decoded, row after row without gaps, and the sum of each row.
struct PackedRows {
  std::vector<std::int32_t> values;
  std::vector<std::int64_t> sums;
};

template <typename Lhs>
PackedRows Pack(MatrixView<const Lhs> lhs, OperandMode mode) {
  PackedRows packed;
  packed.values.reserve(static_cast<std::size_t>(lhs.rows * lhs.cols));
  packed.sums.reserve(static_cast<std::size_t>(lhs.rows));
  for (std::int64_t m = 0; m < lhs.rows; ++m) {
    std::int64_t sum = 0;
    for (std::int64_t k = 0; k < lhs.cols; ++k) {
      packed.values.push_back(Decode(lhs(m, k), mode));
      sum += packed.values.back();
    }
    packed.sums.push_back(sum);
  }
  return packed;
}

// Everything that belongs to one output column.
struct Column {
  std::vector<std::int32_t> values;  // rhs[0..K)[n]
  std::int64_t sum = 0;
  std::int64_t magnitude_sum = 0;
  std::int64_t bias = 0;
  std::int64_t rhs_zero = 0;
  std::int64_t zero_product = 0;  // K * lhs_zero * rhs_zero
};

void Load(Column& column, MatrixView<const std::int8_t> rhs, const GemmParams& params,
          std::int64_t n) {
  column.sum = 0;
  column.magnitude_sum = 0;
  for (std::int64_t k = 0; k < rhs.rows; ++k) {
    const std::int32_t value = rhs(k, n);
    column.values[static_cast<std::size_t>(k)] = value;
    column.sum += value;
    column.magnitude_sum += std::abs(value);
  }
  column.bias = params.bias.empty() ? 0 : params.bias[static_cast<std::size_t>(n)];
  column.rhs_zero = params.RhsZero(n);
  column.zero_product = rhs.rows * params.lhs_zero * column.rhs_zero;
}

// No sum of any of the addends, in any order, exceeds this.
std::int64_t WorstCase(const Column& column, std::int64_t max_lhs, std::int64_t lhs_zero) {
  const auto depth = static_cast<std::int64_t>(column.values.size());
  return std::abs(column.bias) + max_lhs * column.magnitude_sum +
         std::abs(column.rhs_zero) * max_lhs * depth + std::abs(lhs_zero * column.sum) +
         std::abs(column.zero_product);
}

// One element where no sum of its addends can leave the accumulator: plain int32.
std::int32_t Dot(const std::int32_t* lhs, const std::int32_t* rhs, std::int64_t depth) {
  std::int32_t sum = 0;
  for (std::int64_t k = 0; k < depth; ++k) sum += lhs[k] * rhs[k];
  return sum;
}

// One element in the order that the header states.
void Accumulate(SteppedAccumulator& acc, const std::int32_t* lhs, std::int64_t row_sum,
                const Column& column, std::int64_t lhs_zero) {
  acc.Reset();
  acc.Add(column.bias);
  for (std::size_t k = 0; k < column.values.size(); ++k) acc.Add(lhs[k] * column.values[k]);
  if (column.rhs_zero != 0) acc.Add(-column.rhs_zero * row_sum);
  if (lhs_zero != 0) acc.Add(-lhs_zero * column.sum);
  if (column.zero_product != 0) acc.Add(column.zero_product);
}

template <typename Lhs>
void CheckArguments(MatrixView<const Lhs> lhs, MatrixView<const std::int8_t> rhs,
                    const GemmParams& params, MatrixView<std::int32_t> out) {
  Require(lhs.rows >= 0 && rhs.cols >= 0 && lhs.cols >= 0 && lhs.cols <= 65535,
          "Gemm: K must be in 0..65535 and no size negative");
  Require(lhs.cols == rhs.rows && out.rows == lhs.rows && out.cols == rhs.cols,
          "Gemm: shapes must be M x K, K x N and M x N");
  Require(params.acc.bits >= 16 && params.acc.bits <= 32, "Gemm: acc.bits must be in 16..32");
  const auto columns = static_cast<std::size_t>(rhs.cols);
  Require(params.bias.empty() || params.bias.size() == columns,
          "Gemm: bias must be empty or have one entry per column");
  Require(params.rhs_zero.size() <= 1 || params.rhs_zero.size() == columns,
          "Gemm: rhs_zero must be empty or have one entry, or one per column");
  Require(std::all_of(params.rhs_zero.begin(), params.rhs_zero.end(),
                      [](std::int32_t zero) { return zero >= -128 && zero <= 127; }),
          "Gemm: rhs_zero must be in -128..127");
  Require(params.lhs_zero >= -128 && params.lhs_zero <= 255, "Gemm: lhs_zero must be in -128..255");
  Require(params.mode == OperandMode::kMultiply ||
              (std::is_same_v<Lhs, std::uint8_t> && params.lhs_zero == 0),
          "Gemm: shift mode needs uint8 codes and lhs_zero 0");
}

template <typename Lhs>
void GemmImpl(MatrixView<const Lhs> lhs, MatrixView<const std::int8_t> rhs,
              const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  CheckArguments(lhs, rhs, params, out);
  const PackedRows rows = Pack(lhs, params.mode);
  const std::int64_t max_lhs = params.mode == OperandMode::kShift ? 1 << 15
                               : std::is_signed_v<Lhs>            ? 128
                                                                  : 255;
  const std::int64_t acc_max = (std::int64_t{1} << (params.acc.bits - 1)) - 1;
  Column column;
  column.values.resize(static_cast<std::size_t>(rhs.rows));
  SteppedAccumulator acc(params.acc);
  for (std::int64_t n = 0; n < rhs.cols; ++n) {
    Load(column, rhs, params, n);
    const bool plain = seen == nullptr && WorstCase(column, max_lhs, params.lhs_zero) <= acc_max;
    for (std::int64_t m = 0; m < lhs.rows; ++m) {
      const std::int32_t* row = rows.values.data() + m * lhs.cols;
      const std::int64_t row_sum = rows.sums[static_cast<std::size_t>(m)];
      std::int64_t sum = 0;
      if (plain) {
        // The policy cannot act, so the order of the additions does not matter.
        sum = Dot(row, column.values.data(), lhs.cols) + column.bias - column.rhs_zero * row_sum -
              params.lhs_zero * column.sum + column.zero_product;
      } else {
        Accumulate(acc, row, row_sum, column, params.lhs_zero);
        sum = acc.value();
      }
      out(m, n) = static_cast<std::int32_t>(sum);
    }
  }
  if (seen != nullptr) seen->Include(acc.seen());
}

}  // namespace

int BitsFor(const AccRange& range) {
  // ~v is the non-negative number that needs as many bits as a negative v.
  const auto magnitude = [](std::int64_t v) { return static_cast<std::uint64_t>(v < 0 ? ~v : v); };
  return 1 + static_cast<int>(std::bit_width(std::max(magnitude(range.min), magnitude(range.max))));
}

void Gemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  GemmImpl(lhs, rhs, params, out, seen);
}

void Gemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  GemmImpl(lhs, rhs, params, out, seen);
}

}  // namespace qsim
