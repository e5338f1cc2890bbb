// A row of each softmax, up to its inner steps: docs/numerics.md section 5.
#include <algorithm>
#include <bit>
#include <type_traits>

#include "golden/ops/requant/tflite.h"
#include "golden/ops/softmax/shift_exp.h"
#include "sim/explain/inner_steps.h"

namespace qsim::explain {
namespace {

template <typename Params>
constexpr bool kIsIta =
    std::is_same_v<Params, ItaSoftmaxParams> || std::is_same_v<Params, ItaStreamingSoftmaxParams>;

// A shift beyond which nothing is left of what is shifted here.
int Bounded(Int128 shift) { return static_cast<int>(std::min<Int128>(shift, 100)); }

template <typename Params>
Int128 Exp16(const Params& p, std::int64_t distance, Inner& inner) {
  const Int128 e = Int128{EvaluateIbertExp(p.exp, -distance)} * p.act16_multiplier;
  return std::min<Int128>(inner.Shift(Site::kExponential, e, p.act16_shift, RoundRule::kHalfEven),
                          32767);
}

Int128 Exponential(const IbertSoftmaxParams& p, std::int64_t distance, Inner& inner) {
  return Exp16(p, distance, inner);
}
Int128 Exponential(const IbertRnSoftmaxParams& p, std::int64_t distance, Inner& inner) {
  return Exp16(p, distance, inner);
}
Int128 Exponential(const LogIntSoftmaxParams& p, std::int64_t distance, Inner&) {
  return EvaluateIbertExp(p.exp, -distance);
}
Int128 Exponential(const ShiftmaxParams& p, std::int64_t distance, Inner& inner) {
  const Int128 x = -distance;
  const Int128 scaled = x + inner.Shift(Site::kShifts, x, 1, RoundRule::kFloor) -
                        inner.Shift(Site::kShifts, x, 4, RoundRule::kFloor);
  const Int128 d = std::max(scaled, Int128{p.n} * p.x0);
  const Int128 q = d / p.x0;  // both are at most 0
  return ((d - q * p.x0 - 2 * Int128{p.x0}) << static_cast<int>(p.n - q)) >> 1;
}
// ITA's is a power of two: its exponent.
template <typename Params>
requires kIsIta<Params> Int128 Exponential(const Params& p, std::int64_t distance, Inner& inner) {
  return inner.Shift(Site::kPower, distance, p.shift_bits, RoundRule::kHalfUp);
}
Int128 Exponential(const TfliteSoftmaxParams& p, std::int64_t distance, Inner&) {
  return TfliteSoftmaxExp(p, distance);
}
Int128 Exponential(const IsoftmaxParams& p, std::int64_t distance, Inner&) {
  return IsoftmaxExp(p, distance);
}
Int128 Exponential(const TableSoftmaxParams& p, std::int64_t distance, Inner& inner) {
  if (p.exp_high.empty()) return TableExp(p, distance);
  const auto entries = static_cast<std::int64_t>(256 * p.exp_high.size());
  const auto d = static_cast<std::size_t>(std::min(distance, entries - 1));
  return inner.Shift(Site::kExponential, Int128{p.exp_high[d / 256]} * p.exp[d % 256], 15,
                     RoundRule::kHalfUp);
}

using Row = std::span<const Int128>;

template <typename Params>
Int128 SumOf(const Params&, Row e, Inner&) {
  Int128 sum = 0;
  for (const Int128 value : e) sum += value;
  return sum;
}
Int128 SumOf(const TfliteSoftmaxParams&, Row e, Inner& inner) {
  Int128 sum = 0;
  for (const Int128 value : e) sum += inner.Shift(Site::kTerm, value, 12, RoundRule::kHalfAway);
  return sum;
}
Int128 SumOf(const ItaSoftmaxParams&, Row powers, Inner& inner) {
  constexpr int kFraction = 92;
  const bool floored = inner.Does(Site::kTermsFloored, false);
  Int128 sum = 0;
  for (const Int128 power : powers) {
    const Int128 term = (Int128{1} << (kFraction + 8)) >> Bounded(power);
    sum += floored ? (term >> kFraction) << kFraction : term;
  }
  return sum >> kFraction;
}

// What follows the sum, for one element.
Int128 LastOf(const IbertSoftmaxParams&, Int128 e, Int128 sum, Inner& inner) {
  return std::min<Int128>(inner.ByReciprocal(Site::kReciprocal, Site::kLast, e, sum,
                                             Int128{1} << 32, 24, RoundRule::kFloor),
                          255);
}
Int128 LastOf(const IbertRnSoftmaxParams& p, Int128 e, Int128 sum, Inner& inner) {
  return std::min<Int128>(
      inner.ByReciprocal(Site::kReciprocal, Site::kLast, e, sum, Int128{1} << 32, 24 - p.extra_bits,
                         RoundRule::kHalfUp),
      255);
}
Int128 LastOf(const TableSoftmaxParams& p, Int128 e, Int128 sum, Inner& inner) {
  return std::min<Int128>(
      inner.ByReciprocal(Site::kReciprocal, Site::kLast, e, sum, Int128{1} << 48, 40 - p.extra_bits,
                         RoundRule::kHalfUp),
      255);
}
Int128 LastOf(const ShiftmaxParams& p, Int128 e, Int128 sum, Inner& inner) {
  constexpr Int128 kMost = (Int128{1} << 31) - 1;
  return inner.ByReciprocal(Site::kReciprocal, Site::kLast, e, std::min(sum, kMost), kMost,
                            32 - p.output_bits, RoundRule::kFloor);
}
Int128 LastOf(const IsoftmaxParams& p, Int128 e, Int128 sum, Inner& inner) {
  return inner.Divide(Site::kLast, e * inner.Number(Site::kLevels, p.levels - 1), sum,
                      RoundRule::kFloor) +
         p.output_offset;
}
template <typename Params>
requires kIsIta<Params> Int128 LastOf(const Params& p, Int128 power, Int128 sum, Inner& inner) {
  const Int128 levels = inner.Number(Site::kLevels, p.levels - 1);
  const Int128 inverse =
      inner.Divide(Site::kReciprocal, levels * 256, std::max<Int128>(sum, 1), RoundRule::kFloor);
  return inner.Shift(Site::kLast, inverse, Bounded(power), RoundRule::kFloor) + p.output_offset;
}
// A code of the ratio of sum and exponential.
Int128 LastOf(const LogIntSoftmaxParams& p, Int128 e, Int128 sum, Inner& inner) {
  const Int128 zero = Int128{1} << p.code_bits;
  const std::int64_t up = inner.Number(Site::kLogarithm, std::int64_t{3} << 19);
  if (e == 0) return zero;
  const Int128 ratio = inner.Divide(Site::kRatio, sum, e, RoundRule::kHalfEven);
  int log = 0;
  while ((ratio >> (log + 1)) != 0) ++log;
  if (ratio << 20 >= Int128{up} << log) ++log;
  return std::min<Int128>(log, zero);
}

// 1 / (1 + a / 2^31) in Q0.31, by Newton's method: section 5.8.
std::int64_t TfliteReciprocalOf(std::int64_t a, Inner& inner) {
  constexpr std::int64_t kOne = (std::int64_t{1} << 31) - 1;
  const std::int64_t steps = inner.Number(Site::kNewton, 3);
  if (inner.Does(Site::kExactRoot, false))
    return std::min<std::int64_t>(
        static_cast<std::int64_t>((Int128{1} << 62) / ((std::int64_t{1} << 31) + a)), kOne);
  const std::int64_t half = (a + kOne + 1) / 2;
  std::int64_t x = 1515870810 + SaturatingRoundingDoublingHighMul(half, -1010580540);
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t rest = (std::int64_t{1} << 29) - SaturatingRoundingDoublingHighMul(half, x);
    x += SaturatingRoundingDoublingHighMul(x, rest) * 4;
  }
  return std::min(x * 2, kOne);
}

// The whole row behind its exponentials.
template <typename Params>
void Finish(const Params& p, std::span<const std::int32_t>, Row e, Inner& inner,
            std::span<std::int64_t> out) {
  const Int128 sum = SumOf(p, e.first(inner.First(Site::kSum, e.size())), inner);
  for (std::size_t i = 0; i < e.size(); ++i)
    out[i] = static_cast<std::int64_t>(LastOf(p, e[i], std::max<Int128>(sum, 1), inner));
}

void Finish(const TfliteSoftmaxParams& p, std::span<const std::int32_t>, Row e, Inner& inner,
            std::span<std::int64_t> out) {
  const Int128 sum = SumOf(p, e.first(inner.First(Site::kSum, e.size())), inner);
  const auto bits = static_cast<std::uint32_t>(std::max<Int128>(sum, 1));
  const int headroom = std::countl_zero(bits);
  const std::int64_t inverse = TfliteReciprocalOf(
      static_cast<std::int64_t>(bits << headroom) - (std::int64_t{1} << 31), inner);
  const auto [lowest, highest] = TfliteSoftmaxRange(p);
  const int shift = 12 - headroom + 31 - p.output_bits;
  for (std::size_t i = 0; i < e.size(); ++i) {
    const Int128 product = inner.Shift(Site::kProduct, inverse * e[i], 31, RoundRule::kHalfUp);
    const Int128 y = inner.Shift(Site::kLast, product, shift, RoundRule::kHalfAway) + lowest;
    out[i] = static_cast<std::int64_t>(std::min<Int128>(y, highest));
  }
}

// In groups, the sum shifted down whenever the maximum grows.
void Finish(const ItaStreamingSoftmaxParams& p, std::span<const std::int32_t> x, Row, Inner& inner,
            std::span<std::int64_t> out) {
  const std::int64_t own = std::min<std::int64_t>(p.group, std::ssize(x));
  const auto group = static_cast<std::size_t>(inner.Number(Site::kGroup, own));
  const bool shifted = inner.Does(Site::kSumShifted, true);
  const std::span<const std::int32_t> counted = x.first(inner.First(Site::kSum, x.size()));
  std::int64_t largest = counted.front();
  Int128 sum = 0;
  for (std::size_t first = 0; first < counted.size(); first += group) {
    const auto part = counted.subspan(first, std::min(group, counted.size() - first));
    const std::int64_t of_part = *std::max_element(part.begin(), part.end());
    if (of_part > largest) {
      if (shifted)
        sum = inner.Shift(Site::kSumShift, sum, Bounded(Exponential(p, of_part - largest, inner)),
                          RoundRule::kFloor);
      largest = of_part;
    }
    for (const std::int32_t value : part)
      sum += Int128{256} >> Bounded(Exponential(p, largest - value, inner));
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Int128 power = Exponential(p, std::max<std::int64_t>(largest - x[i], 0), inner);
    out[i] = static_cast<std::int64_t>(LastOf(p, power, sum, inner));
  }
}

// Section 5.11: what the sum divides later.
template <typename Params>
void Exponentials(const Params& p, Row e, Inner& inner, std::span<std::int64_t> out) {
  Inner plain;
  const auto value = [](Int128 exponential) {
    return kIsIta<Params> ? Int128{256} >> Bounded(exponential) : exponential;
  };
  const Int128 largest = value(Exponential(p, 0, plain));
  for (std::size_t i = 0; i < e.size(); ++i) {
    if constexpr (std::is_same_v<Params, LogIntSoftmaxParams>) {
      out[i] = static_cast<std::int64_t>(LastOf(p, e[i], largest, inner));
    } else {
      const Int128 scaled = value(e[i]) * inner.Number(Site::kLevels, 255);
      out[i] = static_cast<std::int64_t>(
          std::min<Int128>(inner.Divide(Site::kLast, scaled, largest, RoundRule::kHalfUp), 255));
    }
  }
}

}  // namespace

void SoftmaxRow(const SoftmaxParams& params, SoftmaxDivision division,
                std::span<const std::int32_t> x, Inner& inner, std::span<std::int64_t> out) {
  std::visit(
      [&]<typename Params>(const Params& p) {
        std::vector<Int128> e(x.size());
        // A streaming maximum is that of the groups so far.
        const bool whole = !std::is_same_v<Params, ItaStreamingSoftmaxParams> ||
                           division == SoftmaxDivision::kAfter;
        if (whole) {
          const std::vector<std::int32_t> maxima = inner.Maxima(x);
          for (std::size_t i = 0; i < x.size(); ++i)
            e[i] = Exponential(p, std::max<std::int64_t>(std::int64_t{maxima[i]} - x[i], 0), inner);
        }
        if (division == SoftmaxDivision::kAfter) {
          Exponentials(p, e, inner, out);
        } else {
          Finish(p, x, e, inner, out);
        }
      },
      params);
}

}  // namespace qsim::explain
