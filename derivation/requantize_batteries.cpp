#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "derivation/batteries.h"
#include "derivation/exact.h"
#include "derivation/ran.h"
#include "derivation/requantize_values.h"
#include "golden/ops/one_or_each.h"
#include "golden/ops/requantize.h"

namespace qsim::derivation {

Scaling DrawScaling(Comparison& comparison, const ScalingLimits& limits) {
  const std::int64_t v_hi = (std::int64_t{1} << (limits.v_bits - 1)) - 1;
  const std::int64_t kind = comparison.Between(0, 3);
  const auto shift_in = [&](std::int64_t lo, std::int64_t hi) {
    return static_cast<int>(
        std::clamp<std::int64_t>(comparison.Between(lo, hi), limits.shift_lo, limits.shift_hi));
  };
  Scaling s{.v = comparison.Corner(-v_hi - 1, v_hi),
            .m = static_cast<std::int32_t>(comparison.Corner(limits.m_lo, limits.m_hi)),
            .shift = shift_in(limits.shift_lo, limits.shift_hi)};
  if (kind == 0) {
    s.shift = shift_in(limits.tie_shift - 3, limits.tie_shift + 12);
  } else if (kind == 1) {
    // v m = odd 2^(S - 1), with the powers of two divided between v and m.
    const int m_bits = static_cast<int>(comparison.Between(0, 30));
    const std::int64_t m = std::int64_t{1} << m_bits;
    s.m = static_cast<std::int32_t>(
        std::clamp(comparison.Between(0, 1) == 0 ? m : -m, limits.m_lo, limits.m_hi));
    s.shift = shift_in(m_bits + 1, m_bits + std::min(limits.v_bits - 8, 24));
    const int v_zeros = std::clamp(s.shift - 1 - m_bits, 0, limits.v_bits - 8);
    const std::int64_t odd = 2 * comparison.Between(-20, 20) + 1;
    s.v = odd * (std::int64_t{1} << v_zeros);
    if (comparison.Between(0, 1) == 0) s.v += comparison.Between(-1, 1);
  }
  return s;
}

namespace {

// round_shift, in one mode: 4.1 with all its operands.
template <Rounding kRounding>
void CompareRequantize(Comparison& comparison) {
  const ScalingLimits limits = {.v_bits = 32,
                                .m_lo = -INT32_MAX,
                                .m_hi = INT32_MAX,
                                .shift_lo = 0,
                                .shift_hi = 62,
                                .tie_shift = 20};
  for (int i = 0; i < 6000; ++i) {
    const Scaling s = DrawScaling(comparison, limits);
    const std::int64_t addend =
        comparison.Between(0, 1) == 0
            ? 0
            : comparison.Corner(-(std::int64_t{1} << 61), std::int64_t{1} << 61);
    const auto zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    const QuantRange range =
        comparison.Between(0, 1) == 0 ? QuantRange{-128, 127} : QuantRange{INT32_MIN, INT32_MAX};
    const mpz_class y = Rounded(Scaled(Big(s.v) * s.m + Big(addend), -s.shift), kRounding) + zero;
    const mpz_class clamped = Clamp(y, range.qmin, range.qmax);
    std::int64_t saturated = 0;
    const std::int32_t golden =
        RequantizeValue(s.v, {s.m, s.shift}, addend, zero, kRounding, range, &saturated);
    const auto describe = [&] {
      return std::to_string(s.v) + " * " + std::to_string(s.m) + " + " + std::to_string(addend) +
             " >> " + std::to_string(s.shift) + " zero " + std::to_string(zero);
    };
    comparison.Check(golden, Small(clamped), describe);
    comparison.Check(saturated, clamped != y, describe);
  }
}

// A whole tensor of each scheme: shifts as the program counts them, channels, addend and zero
// point, the clamp. The programs' last step floors where the scheme has no rounding of its own.
mpz_class DeriveScheme(RequantScheme scheme, const mpz_class& v, Multiplier scale,
                       const mpz_class& addend) {
  const mpz_class m = scale.m;
  switch (scheme) {
    case RequantScheme::kRoundShift:
    case RequantScheme::kRequantShift:
      return DeriveRequantShift(v, m, addend, scale.shift, /*rounding=*/false);
    case RequantScheme::kTfliteDouble:
      return DeriveTfliteDouble(v, m, scale.shift);
    case RequantScheme::kTosaScale32Double:
      return DeriveTosaScale32Double(v, m, scale.shift);
    case RequantScheme::kIta:
      return DeriveItaRequantize(v, m, scale.shift) + addend;
    case RequantScheme::kIbertDyadic:
      return DeriveIbertDyadic(v, m, scale.shift);
    default:
      return DeriveHalfUp(v, m, scale.shift) + addend;
  }
}

}  // namespace

void CompareRan(Comparison& comparison, const Ran<RequantizeOp>& ran) {
  const RequantizeOp& op = ran.op;
  const IntTensor &x = ran.tensors.at(op.input), &y = ran.tensors.at(op.output);
  const QuantRange range = ran.instance.program.Tensor(op.output).range;
  const ChannelLayout layout = LayoutOf(y.shape(), op.axis);
  const std::int64_t width = y.shape().back(), in_width = x.shape().back();
  for (std::int64_t e = 0; e < y.size(); ++e) {
    const auto c = static_cast<std::size_t>(e / layout.inner % layout.channels);
    const mpz_class v =
        Big(x.At(e / width * in_width + op.first_column + e % width)) - op.input_zero;
    const mpz_class addend = op.addend.empty() ? mpz_class(0) : Big(EntryFor(op.addend, c));
    const Multiplier m = EntryFor(op.scale, c);
    // round_shift and requantshift round as the operation says.
    const bool once =
        op.scheme == RequantScheme::kRoundShift || op.scheme == RequantScheme::kRequantShift;
    const mpz_class scaled = once ? Rounded(Scaled(v * m.m + addend, -m.shift), op.rounding)
                                  : DeriveScheme(op.scheme, v, m, addend);
    comparison.Check(y.At(e), Small(Clamp(scaled + EntryFor(op.zero, c), range.qmin, range.qmax)),
                     [&] { return "element " + std::to_string(e); });
  }
}

namespace {

template <RequantScheme kScheme>
void CompareTensor(Comparison& comparison) {
  const RequantLimits limits = LimitsOf(kScheme);
  const ScalingLimits drawn = {.v_bits = 31,
                               .m_lo = limits.min_multiplier,
                               .m_hi = limits.max_multiplier,
                               .shift_lo = limits.min_shift,
                               .shift_hi = limits.max_shift,
                               .tie_shift = 28};
  for (int i = 0; i < 300; ++i) {
    const ChannelLayout layout = {comparison.Between(1, 3), comparison.Between(1, 3),
                                  comparison.Between(1, 3)};
    const auto size = static_cast<std::size_t>(layout.size());
    const auto channels = static_cast<std::size_t>(layout.channels);
    std::vector<Multiplier> scale(channels);
    std::vector<std::int32_t> zero(comparison.Between(0, 1) == 0 ? 1 : channels);
    std::vector<std::int64_t> addend(limits.addend == AddendUse::kNone || i % 3 == 0 ? 0
                                     : i % 3 == 1                                    ? 1
                                                                                     : channels);
    for (auto& z : zero) z = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    for (auto& a : addend) a = comparison.Corner(-65536, 65536);
    std::vector<std::int32_t> x(size), y(size);
    const auto input_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    for (std::size_t e = 0; e < size; ++e) {
      // The value that goes with the element's multiplier, so that ties occur.
      const auto c = static_cast<std::size_t>(layout.ChannelOf(static_cast<std::int64_t>(e)));
      const Scaling s = DrawScaling(comparison, drawn);
      scale[c] = {s.m, s.shift};
      x[e] = static_cast<std::int32_t>(s.v + input_zero);
    }
    const QuantRange range = i % 2 == 0 ? QuantRange{-128, 127} : QuantRange{INT32_MIN, INT32_MAX};
    const RequantizeParams params{.layout = layout,
                                  .scale = scale,
                                  .zero = zero,
                                  .input_zero = input_zero,
                                  .rounding = Rounding::kFloor,
                                  .range = range,
                                  .scheme = kScheme,
                                  .addend = addend};
    const std::int64_t saturated = Requantize(x, params, y);
    std::int64_t derived_saturated = 0;
    for (std::size_t e = 0; e < size; ++e) {
      const std::size_t c = e / static_cast<std::size_t>(layout.inner) % channels;
      const auto of = [&](const auto& values) { return values.empty() ? 0 : EntryFor(values, c); };
      const mpz_class derived =
          DeriveScheme(kScheme, Big(x[e]) - input_zero, scale[c], Big(of(addend))) + of(zero);
      const mpz_class clamped = Clamp(derived, range.qmin, range.qmax);
      derived_saturated += clamped != derived;
      comparison.Check(y[e], Small(clamped), [&] {
        return std::string(Name(kScheme)) + " x " + std::to_string(x[e]) + " zero " +
               std::to_string(input_zero) + " M " + std::to_string(scale[c].m) + " S " +
               std::to_string(scale[c].shift);
      });
    }
    comparison.Check(saturated, derived_saturated, [] { return std::string("saturated"); });
  }
}

constexpr std::array<Battery, 27> kRequantizeBatteries = {{
    {"requantize", "half_up", CompareRequantize<Rounding::kHalfUp>},
    {"requantize", "half_away", CompareRequantize<Rounding::kHalfAway>},
    {"requantize", "half_even", CompareRequantize<Rounding::kHalfEven>},
    {"requantize", "floor", CompareRequantize<Rounding::kFloor>},
    {"requantize", "toward_zero", CompareRequantize<Rounding::kTowardZero>},
    {"requantize", "tflite_primitives", CompareTflitePrimitives},
    {"requantize", "tflite_double", CompareTfliteDouble},
    {"requantize", "tflite_single", CompareTfliteSingle},
    {"requantize", "tosa_scale32", CompareTosaScale32},
    {"requantize", "tosa_scale32_double", CompareTosaScale32Double},
    {"requantize", "tosa_scale16", CompareTosaScale16},
    {"requantize", "cmsisnn_s64", CompareCmsisnnS64},
    {"requantize", "ita", CompareItaRequantize},
    {"requantize", "ita_rtl", CompareItaRtl},
    {"requantize", "requant_shift", CompareRequantShift},
    {"requantize", "ibert_dyadic", CompareIbertDyadic},
    {"requantize_tensor", "round_shift", CompareTensor<RequantScheme::kRoundShift>},
    {"requantize_tensor", "tflite_double", CompareTensor<RequantScheme::kTfliteDouble>},
    {"requantize_tensor", "tflite_single", CompareTensor<RequantScheme::kTfliteSingle>},
    {"requantize_tensor", "tosa_scale32", CompareTensor<RequantScheme::kTosaScale32>},
    {"requantize_tensor", "tosa_scale32_double", CompareTensor<RequantScheme::kTosaScale32Double>},
    {"requantize_tensor", "tosa_scale16", CompareTensor<RequantScheme::kTosaScale16>},
    {"requantize_tensor", "ita", CompareTensor<RequantScheme::kIta>},
    {"requantize_tensor", "ita_rtl", CompareTensor<RequantScheme::kItaRtl>},
    {"requantize_tensor", "requant_shift", CompareTensor<RequantScheme::kRequantShift>},
    {"requantize_tensor", "ibert_dyadic", CompareTensor<RequantScheme::kIbertDyadic>},
    {"requantize_tensor", "cmsisnn_s64", CompareTensor<RequantScheme::kCmsisnnS64>},
}};

}  // namespace

std::span<const Battery> RequantizeBatteries() { return kRequantizeBatteries; }

}  // namespace qsim::derivation
