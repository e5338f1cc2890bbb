#include "golden/kernels/softmax.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

#include "golden/kernels/vectors.h"
#include "golden/ops/requant/tflite.h"
#include "golden/ops/require.h"
#include "golden/ops/rounding.h"
#include "golden/ops/softmax/shift_exp.h"

namespace qsim::golden::kernels {
namespace {

// A function of the distance, computed where it is first asked for.
template <typename Function>
class ByDistance {
 public:
  ByDistance(std::int64_t distances, Function function)
      : values_(static_cast<std::size_t>(distances), kUnknown), function_(std::move(function)) {}
  std::int64_t operator[](std::int64_t distance) {
    std::int64_t& value = values_[static_cast<std::size_t>(distance)];
    if (value == kUnknown) value = function_(distance);
    return value;
  }

 private:
  static constexpr std::int64_t kUnknown = -1;  // no exponential is negative
  std::vector<std::int64_t> values_;
  Function function_;
};

// The algorithms whose last step is one product for each element:
//   y = min((e floor(2^numerator / sum) + half) >> shift, 255)
struct Proportional {
  int numerator, shift;
  std::int64_t half;
};
template <typename Params>
constexpr bool kIsProportional = false;
template <>
constexpr bool kIsProportional<IbertSoftmaxParams> = true;
template <>
constexpr bool kIsProportional<IbertRnSoftmaxParams> = true;
template <>
constexpr bool kIsProportional<TableSoftmaxParams> = true;

Proportional LastStepOf(const IbertSoftmaxParams&) { return {32, 24, 0}; }
Proportional LastStepOf(const IbertRnSoftmaxParams& p) {
  return {32, 24 - p.extra_bits, std::int64_t{1} << (23 - p.extra_bits)};
}
Proportional LastStepOf(const TableSoftmaxParams& p) {
  return {48, 40 - p.extra_bits, std::int64_t{1} << (39 - p.extra_bits)};
}

std::int64_t ExpOf(const IbertSoftmaxParams& p, std::int64_t d) { return IbertExp16(p, d); }
std::int64_t ExpOf(const IbertRnSoftmaxParams& p, std::int64_t d) { return IbertExp16(p, d); }
std::int64_t ExpOf(const TableSoftmaxParams& p, std::int64_t d) { return TableExp(p, d); }
std::int64_t ExpOf(const LogIntSoftmaxParams& p, std::int64_t d) {
  return EvaluateIbertExp(p.exp, -d);
}
std::int64_t ExpOf(const ShiftmaxParams& p, std::int64_t d) { return ShiftExp(-d, p.x0, p.n); }
std::int64_t ExpOf(const TfliteSoftmaxParams& p, std::int64_t d) { return TfliteSoftmaxExp(p, d); }

template <typename Params>
auto ExponentialsOf(const Params& params, std::int64_t distances) {
  return ByDistance(distances, [params](std::int64_t d) { return ExpOf(params, d); });
}

template <typename Params>
class ProportionalRows final : public SoftmaxRows {
 public:
  ProportionalRows(const Params& params, std::int64_t distances)
      : last_(LastStepOf(params)), exp_(ExponentialsOf(params, distances)) {}

  std::int64_t Row(std::span<const std::int32_t> scores, std::span<std::int32_t> out) override {
    const std::int32_t largest = Largest(scores);
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const std::int64_t e = exp_[largest - scores[i]];
      out[i] = static_cast<std::int32_t>(e);
      sum += e;
    }
    return ScaleRow(out, (std::int64_t{1} << last_.numerator) / sum, last_.half, last_.shift, 255);
  }

 private:
  Proportional last_;
  decltype(ExponentialsOf(std::declval<const Params&>(), 0)) exp_;
};

// What the row's sum makes of one exponential.
struct Code {
  std::int32_t value = 0;
  bool saturated = false;
};

// The other algorithms' last steps: Term is what a row's sum adds, Of the code, where `Sum` bounds
// every exponential in it.
struct LogIntLast {
  using Sum = Int128;
  const LogIntSoftmaxParams& p;
  Sum sum = 0;
  static Sum Term(std::int64_t e) { return e; }
  Code Of(std::int64_t e) const { return {LogIntCode(sum, e, p.code_bits)}; }
};
struct ShiftmaxLast {
  using Sum = Int128;
  const ShiftmaxParams& p;
  Sum sum = 0;
  static Sum Term(std::int64_t e) { return e; }
  Code Of(std::int64_t e) const {
    // At most the larger of the numerator and e: no exponential exceeds the sum.
    constexpr std::int64_t kNumerator = (std::int64_t{1} << 31) - 1;
    const auto factor = kNumerator / static_cast<std::int64_t>(std::min(sum, Sum{kNumerator}));
    return {static_cast<std::int32_t>((e * factor) >> (32 - p.output_bits))};
  }
};
struct TfliteLast {
  using Sum = std::int64_t;
  const TfliteSoftmaxParams& p;
  Sum sum = 0;
  static Sum Term(std::int64_t e) { return RoundingDivideByPowerOfTwo(e, 12); }
  Code Of(std::int64_t e) const {
    const int headroom = std::countl_zero(static_cast<std::uint32_t>(sum));
    const std::int64_t inverse = TfliteReciprocal((sum << headroom) - (std::int64_t{1} << 31));
    const auto [lowest, highest] = TfliteSoftmaxRange(p);
    const std::int64_t y = RoundingDivideByPowerOfTwo(SaturatingRoundingDoublingHighMul(inverse, e),
                                                      12 - headroom + 31 - p.output_bits) +
                           lowest;
    return {static_cast<std::int32_t>(std::min<std::int64_t>(y, highest)), y > highest};
  }
};
LogIntLast LastOf(const LogIntSoftmaxParams& p) { return {p}; }
ShiftmaxLast LastOf(const ShiftmaxParams& p) { return {p}; }
TfliteLast LastOf(const TfliteSoftmaxParams& p) { return {p}; }

// Codes of one row, each computed where it is first asked for.
class RowCodes {
 public:
  explicit RowCodes(std::int64_t distances)
      : row_(static_cast<std::size_t>(distances)), codes_(row_.size()) {}
  // The codes of a row whose maximum is `largest`; function(distance) gives one. Returns how many
  // saturated.
  template <typename Function>
  std::int64_t Row(std::span<const std::int32_t> scores, std::int64_t largest,
                   std::span<std::int32_t> out, Function function) {
    ++now_;
    std::int64_t saturated = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const std::int64_t distance = largest - scores[i];
      const auto at = static_cast<std::size_t>(distance);
      if (row_[at] != now_) {
        codes_[at] = function(distance);
        row_[at] = now_;
      }
      saturated += codes_[at].saturated;
      out[i] = codes_[at].value;
    }
    return saturated;
  }

 private:
  std::int64_t now_ = 0;
  std::vector<std::int64_t> row_;
  std::vector<Code> codes_;
};

template <typename Params>
class SummedRows final : public SoftmaxRows {
 public:
  SummedRows(const Params& params, std::int64_t distances)
      : params_(params), exp_(ExponentialsOf(params, distances)), codes_(distances) {}

  std::int64_t Row(std::span<const std::int32_t> scores, std::span<std::int32_t> out) override {
    const std::int32_t largest = Largest(scores);
    auto last = LastOf(params_);
    for (const std::int32_t score : scores) last.sum += last.Term(exp_[largest - score]);
    return codes_.Row(scores, largest, out, [&](std::int64_t distance) {
      if constexpr (std::is_same_v<Params, TfliteSoftmaxParams>) {
        if (-distance < params_.diff_min) return Code{TfliteSoftmaxRange(params_).qmin};
      }
      return last.Of(exp_[distance]);
    });
  }

 private:
  Params params_;
  decltype(ExponentialsOf(std::declval<const Params&>(), 0)) exp_;
  RowCodes codes_;
};

// Equation 5.18.
struct Power {
  int bits;
  std::int64_t operator()(std::int64_t d) const { return RoundShift(d, bits, Rounding::kHalfUp); }
};

// ITA's powers; both of its sums are the specification's, step by step, the rest is not.
template <typename Params>
class ItaRows final : public SoftmaxRows {
 public:
  ItaRows(const Params& params, std::int64_t distances)
      : params_(params),
        power_(distances, Power{params.shift_bits}),
        count_(static_cast<std::size_t>(distances)),
        codes_(distances) {}

  std::int64_t Row(std::span<const std::int32_t> scores, std::span<std::int32_t> out) override {
    std::int64_t largest = 0;
    const std::int64_t sum = Sum(scores, largest);
    const std::int64_t inverse = (params_.levels - std::int64_t{1}) * 256 / sum;
    return codes_.Row(scores, largest, out, [&](std::int64_t distance) {
      return Code{
          static_cast<std::int32_t>(Down(inverse, power_[distance]) + params_.output_offset)};
    });
  }

 private:
  static std::int64_t Down(std::int64_t value, std::int64_t shift) {
    return shift >= 63 ? 0 : value >> shift;
  }

  std::int64_t Sum(std::span<const std::int32_t> scores, std::int64_t& largest) {
    if constexpr (std::is_same_v<Params, ItaSoftmaxParams>) {
      largest = Largest(scores);
      // Equation 5.19, from the largest distance down: equal powers add up in one unit.
      std::fill(count_.begin(), count_.end(), 0);
      std::int64_t farthest = 0;
      for (const std::int32_t score : scores) {
        const std::int64_t distance = largest - score;
        ++count_[static_cast<std::size_t>(distance)];
        farthest = std::max(farthest, distance);
      }
      std::int64_t sum = 0, unit = std::max<std::int64_t>(power_[farthest], 8);
      for (std::int64_t distance = farthest; distance >= 0; --distance) {
        const std::int64_t count = count_[static_cast<std::size_t>(distance)];
        if (count == 0) continue;
        const std::int64_t power = power_[distance], next = std::max<std::int64_t>(power, 8);
        sum = Down(sum, unit - next) + count * (std::int64_t{1} << (next - power));
        unit = next;
      }
      return sum;
    } else {
      const auto group = static_cast<std::size_t>(
          std::min(params_.group, static_cast<std::int64_t>(scores.size())));
      std::int64_t sum = 0;
      largest = scores.front();
      for (std::size_t first = 0; first < scores.size(); first += group) {
        const auto part = scores.subspan(first, std::min(group, scores.size() - first));
        const std::int64_t part_max = Largest(part);
        if (part_max > largest) {
          sum = Down(sum, power_[part_max - largest]);
          largest = part_max;
        }
        for (const std::int32_t score : part) sum += Down(256, power_[largest - score]);
      }
      return sum;
    }
  }

  Params params_;
  ByDistance<Power> power_;
  std::vector<std::int64_t> count_;
  RowCodes codes_;
};

// The polynomial's results may have more than 64 bits; a row's few different ones are divided.
class IsoftmaxRows final : public SoftmaxRows {
 public:
  IsoftmaxRows(const IsoftmaxParams& params, std::int64_t distances)
      : params_(params), exp_(static_cast<std::size_t>(distances), -1), codes_(distances) {}

  std::int64_t Row(std::span<const std::int32_t> scores, std::span<std::int32_t> out) override {
    const std::int32_t largest = Largest(scores);
    Int128 sum = 0;
    for (const std::int32_t score : scores) sum += Exp(largest - score);
    return codes_.Row(scores, largest, out, [&](std::int64_t distance) {
      return Code{static_cast<std::int32_t>(Exp(distance) * (params_.levels - 1) / sum) +
                  params_.output_offset};
    });
  }

 private:
  Int128 Exp(std::int64_t distance) {
    Int128& value = exp_[static_cast<std::size_t>(distance)];
    if (value < 0) value = IsoftmaxExp(params_, distance);
    return value;
  }

  IsoftmaxParams params_;
  std::vector<Int128> exp_;
  RowCodes codes_;
};

// Section 5.11: a code depends on the distance alone, so the specification is asked for a whole
// stretch of distances at once.
class ExponentialRows final : public SoftmaxRows {
 public:
  ExponentialRows(SoftmaxParams params, std::int64_t distances)
      : params_(std::move(params)),
        codes_((static_cast<std::size_t>(distances) + kStretch - 1) / kStretch * kStretch),
        known_(codes_.size() / kStretch) {}

  std::int64_t Row(std::span<const std::int32_t> scores, std::span<std::int32_t> out) override {
    const std::int32_t largest = Largest(scores);
    if (known_.size() == 1) {
      Know(0);
    } else {
      for (const std::int32_t score : scores)
        Know(static_cast<std::size_t>(largest - score) / kStretch);
    }
    for (std::size_t i = 0; i < scores.size(); ++i)
      out[i] = codes_[static_cast<std::size_t>(largest - scores[i])];
    if (saturates_.empty()) return 0;
    std::int64_t saturated = 0;
    for (const std::int32_t score : scores)
      saturated += saturates_[static_cast<std::size_t>(largest - score)];
    return saturated;
  }

 private:
  static constexpr std::size_t kStretch = 256;

  void Know(std::size_t stretch) {
    if (known_[stretch]) return;
    known_[stretch] = true;
    // Behind a maximum of 0.
    std::vector<std::int32_t> scores = {0}, codes(kStretch + 1);
    const std::size_t first = stretch * kStretch;
    for (std::size_t i = 0; i < kStretch; ++i)
      scores.push_back(-static_cast<std::int32_t>(first + i));
    if (SoftmaxExponentials(scores, params_, codes) != 0) {
      saturates_.resize(codes_.size());
      std::int32_t pair[2];
      const std::int64_t of_largest =
          SoftmaxExponentials(std::span(scores).first(1), params_, std::span(pair).first(1));
      for (std::size_t i = 0; i < kStretch; ++i) {
        const std::int32_t two[] = {0, scores[1 + i]};
        saturates_[first + i] = SoftmaxExponentials(two, params_, pair) > of_largest;
      }
    }
    std::copy(codes.begin() + 1, codes.end(), std::span(codes_).subspan(first).begin());
  }

  SoftmaxParams params_;
  std::vector<std::int32_t> codes_;
  std::vector<bool> known_;
  std::vector<std::uint8_t> saturates_;  // empty, or 1 where the code was clamped
};

}  // namespace

std::unique_ptr<SoftmaxRows> MakeSoftmaxRows(const SoftmaxParams& params, SoftmaxDivision division,
                                             std::int64_t distances) {
  CheckSoftmaxParams(params);
  if (division == SoftmaxDivision::kAfter)
    return std::make_unique<ExponentialRows>(params, distances);
  return std::visit(
      [&]<typename Params>(const Params& p) -> std::unique_ptr<SoftmaxRows> {
        if constexpr (kIsProportional<Params>) {
          return std::make_unique<ProportionalRows<Params>>(p, distances);
        } else if constexpr (std::is_same_v<Params, IsoftmaxParams>) {
          return std::make_unique<IsoftmaxRows>(p, distances);
        } else if constexpr (std::is_same_v<Params, ItaSoftmaxParams> ||
                             std::is_same_v<Params, ItaStreamingSoftmaxParams>) {
          return std::make_unique<ItaRows<Params>>(p, distances);
        } else {
          return std::make_unique<SummedRows<Params>>(p, distances);
        }
      },
      params);
}

}  // namespace qsim::golden::kernels
