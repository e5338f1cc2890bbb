#include "golden/ops/gemm.h"

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

#include "golden/ops/require.h"
#include "golden/ops/wrap.h"

namespace qsim::golden {
namespace {

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
    if (acc_.policy == AccPolicy::kWrap) return WrapTo(sum, acc_.bits);
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
  SteppedAccumulator acc(params.acc);
  for (std::int64_t m = 0; m < out.rows; ++m) {
    for (std::int64_t n = 0; n < out.cols; ++n) {
      const std::int64_t lhs_zero = params.lhs_zero;
      const std::int64_t rhs_zero = params.RhsZero(n);
      std::int64_t lhs_sum = 0;
      std::int64_t rhs_sum = 0;
      acc.Reset();
      acc.Add(params.bias.empty() ? 0 : params.bias[static_cast<std::size_t>(n)]);
      for (std::int64_t k = 0; k < lhs.cols; ++k) {
        const std::int64_t a = Decode(lhs(m, k), params.mode);
        const std::int64_t b = rhs(k, n);
        acc.Add(a * b);
        lhs_sum += a;
        rhs_sum += b;
      }
      if (rhs_zero != 0) acc.Add(-rhs_zero * lhs_sum);
      if (lhs_zero != 0) acc.Add(-lhs_zero * rhs_sum);
      if (lhs_zero * rhs_zero != 0) acc.Add(lhs.cols * lhs_zero * rhs_zero);
      out(m, n) = static_cast<std::int32_t>(acc.value());
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

void CheckGemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
               const GemmParams& params, MatrixView<std::int32_t> out) {
  CheckArguments(lhs, rhs, params, out);
}

void CheckGemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
               const GemmParams& params, MatrixView<std::int32_t> out) {
  CheckArguments(lhs, rhs, params, out);
}

void Gemm(MatrixView<const std::int8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  GemmImpl(lhs, rhs, params, out, seen);
}

void Gemm(MatrixView<const std::uint8_t> lhs, MatrixView<const std::int8_t> rhs,
          const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  GemmImpl(lhs, rhs, params, out, seen);
}

}  // namespace qsim::golden
