// Sections 2, 3 and 8 in arbitrary precision.
#include "golden/ops/one_or_each.h"
#include "golden/ops/rounding.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "derivation/batteries.h"
#include "derivation/exact.h"
#include "derivation/gemm_products.h"
#include "golden/ops/residual_add.h"

namespace qsim::derivation {
namespace {

Int128 Wide(const mpz_class& value) {
  const mpz_class high = Floor(Scaled(value, -63));
  return Int128{Small(high)} * (Int128{1} << 63) + Small(value - high * Power2(63));
}

// 64 and 128 bits, ties and their neighbours, every shift.
template <Rounding kRounding>
void CompareRoundShift(Comparison& comparison) {
  for (int i = 0; i < 6000; ++i) {
    const auto shift = static_cast<int>(comparison.Between(0, 62));
    std::int64_t value = comparison.Corner(INT64_MIN, INT64_MAX);
    if (i % 3 == 0 && shift > 0) {
      const std::int64_t limit = shift > 40 ? 1 : 1000;
      value = (2 * comparison.Between(-limit, limit - 1) + 1) * (std::int64_t{1} << (shift - 1)) +
              comparison.Between(-1, 1) * comparison.Between(0, 1);
    }
    const auto describe = [&] { return std::to_string(value) + " >> " + std::to_string(shift); };
    comparison.Check(RoundShift(value, shift, kRounding),
                     Small(Rounded(Scaled(Big(value), -shift), kRounding)), describe);
    // The same value further up, and with something below it.
    const auto more = static_cast<int>(comparison.Between(0, 62));
    const mpz_class wide =
        Big(value) * Power2(more) + (more > 0 ? Big(comparison.Between(-1, 1)) : mpz_class(0));
    const mpz_class rounded = Rounded(Scaled(wide, -(shift + more)), kRounding);
    comparison.Check(RoundShift(Wide(wide), shift + more, kRounding) == Wide(rounded), 1, describe);
  }
}

template <Rounding kRounding>
void CompareRoundDivide(Comparison& comparison) {
  for (int i = 0; i < 6000; ++i) {
    std::int64_t denominator = comparison.Corner(1, INT64_MAX);
    std::int64_t numerator = comparison.Corner(INT64_MIN, INT64_MAX);
    if (i % 2 == 0) {
      // An odd number of halves, or beside one.
      const std::int64_t half = comparison.Between(1, 1000000);
      denominator = 2 * half;
      numerator = (2 * comparison.Between(-1000, 1000) + 1) * half + comparison.Between(-1, 1);
    }
    comparison.Check(RoundDivide(numerator, denominator, kRounding),
                     Small(Rounded(Ratio(Big(numerator), Big(denominator)), kRounding)), [&] {
                       return std::to_string(numerator) + " / " + std::to_string(denominator);
                     });
  }
}

// Equation 8.1, layouts and saturation included.
template <Rounding kRounding>
void CompareResidualAdd(Comparison& comparison) {
  for (int i = 0; i < 400; ++i) {
    const ChannelLayout layout = {comparison.Between(1, 3), comparison.Between(1, 3),
                                  comparison.Between(1, 3)};
    const auto size = static_cast<std::size_t>(layout.size());
    const auto channels = static_cast<std::size_t>(layout.channels);
    const bool ties = i % 2 == 0;
    std::vector<std::int32_t> a(size), b(size), out(size);
    std::vector<std::int32_t> a_m(comparison.Between(0, 1) == 0 ? 1 : channels);
    std::vector<std::int32_t> b_m(comparison.Between(0, 1) == 0 ? 1 : channels);
    const std::int64_t highest = ties ? 3 : INT32_MAX;
    for (auto& m : a_m) m = static_cast<std::int32_t>(comparison.Corner(-highest, highest));
    for (auto& m : b_m) m = static_cast<std::int32_t>(comparison.Corner(-highest, highest));
    for (auto& x : a) {
      x = static_cast<std::int32_t>(ties ? comparison.Between(-40, 40)
                                         : comparison.Corner(INT32_MIN + 65536, INT32_MAX - 65536));
    }
    for (auto& x : b) x = static_cast<std::int32_t>(comparison.Corner(-32768, 32767));
    const ResidualAddParams params{
        .layout = layout,
        .a_multiplier = a_m,
        .b_multiplier = b_m,
        .shift = static_cast<int>(ties ? comparison.Between(0, 3) : comparison.Corner(0, 62)),
        .a_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536)),
        .b_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536)),
        .out_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536)),
        .rounding = kRounding,
        .range = ties ? QuantRange{-(1 << 20), 1 << 20} : QuantRange{-32768, 32767}};
    const std::int64_t saturated = ResidualAdd(a, b, params, out);
    std::int64_t derived_saturated = 0;
    for (std::size_t e = 0; e < size; ++e) {
      const std::size_t c = e / static_cast<std::size_t>(layout.inner) % channels;
      const mpz_class sum = (Big(a[e]) - params.a_zero) * EntryFor(a_m, c) +
                            (Big(b[e]) - params.b_zero) * EntryFor(b_m, c);
      const mpz_class y = Rounded(Scaled(sum, -params.shift), kRounding) + params.out_zero;
      const mpz_class clamped = Clamp(y, params.range.qmin, params.range.qmax);
      derived_saturated += clamped != y;
      comparison.Check(out[e], Small(clamped), [&] {
        return "a " + std::to_string(a[e]) + " b " + std::to_string(b[e]) + " sum " +
               sum.get_str() + " >> " + std::to_string(params.shift);
      });
    }
    comparison.Check(saturated, derived_saturated, [] { return std::string("saturated"); });
  }
}

constexpr std::array<Battery, 19> kRoundingBatteries = {{
    {"round_shift", "half_up", CompareRoundShift<Rounding::kHalfUp>},
    {"round_shift", "half_away", CompareRoundShift<Rounding::kHalfAway>},
    {"round_shift", "half_even", CompareRoundShift<Rounding::kHalfEven>},
    {"round_shift", "floor", CompareRoundShift<Rounding::kFloor>},
    {"round_shift", "toward_zero", CompareRoundShift<Rounding::kTowardZero>},
    {"round_divide", "half_up", CompareRoundDivide<Rounding::kHalfUp>},
    {"round_divide", "half_away", CompareRoundDivide<Rounding::kHalfAway>},
    {"round_divide", "half_even", CompareRoundDivide<Rounding::kHalfEven>},
    {"round_divide", "floor", CompareRoundDivide<Rounding::kFloor>},
    {"round_divide", "toward_zero", CompareRoundDivide<Rounding::kTowardZero>},
    {"gemm", "error", CompareGemmError},
    {"gemm", "wrap", CompareGemmWrap},
    {"gemm", "saturate", CompareGemmSaturate},
    {"gemm", "shift_mode", CompareGemmShiftMode},
    {"residual_add", "half_up", CompareResidualAdd<Rounding::kHalfUp>},
    {"residual_add", "half_away", CompareResidualAdd<Rounding::kHalfAway>},
    {"residual_add", "half_even", CompareResidualAdd<Rounding::kHalfEven>},
    {"residual_add", "floor", CompareResidualAdd<Rounding::kFloor>},
    {"residual_add", "toward_zero", CompareResidualAdd<Rounding::kTowardZero>},
}};

}  // namespace

std::span<const Battery> RoundingBatteries() { return kRoundingBatteries; }

}  // namespace qsim::derivation
