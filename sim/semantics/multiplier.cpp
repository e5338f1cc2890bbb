#include "sim/semantics/multiplier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/error.h"

namespace qsim::semantics {
namespace {

constexpr int kMaxShift = 62;

// The largest S <= 62 for which round_half_even(|r| 2^S) <= limit; may be negative.
int LargestShift(double r, int bits) {
  int exponent = 0;
  std::frexp(r, &exponent);  // |r| = f 2^exponent, f in [1/2, 1)
  int shift = bits - exponent;
  // f 2^bits may round up to 2^bits, which has one bit too many.
  if (std::nearbyint(std::ldexp(std::fabs(r), shift)) > MaxMultiplier(bits)) --shift;
  return std::min(shift, kMaxShift);
}

std::int32_t Rounded(double r, int shift) {
  return static_cast<std::int32_t>(std::nearbyint(std::ldexp(r, shift)));
}

[[noreturn]] void ThrowVanishes(double r, const std::string& what) {
  throw InputError(
      fmt::format("{}: the ratio of scales {:.6g} is too small for a multiplier (M = 0); raise "
                  "multiplier_bits, or give "
                  "the tensor's weights or output another range",
                  what, r));
}

}  // namespace

std::int32_t MaxMultiplier(int bits) {
  return static_cast<std::int32_t>((std::int64_t{1} << bits) - 1);
}

Multiplier MultiplierFor(double r, int bits, const std::string& what, int most_shift) {
  const int shift = std::min(LargestShift(r, bits), most_shift);
  if (shift < 0) {
    throw InputError(fmt::format(
        "{}: the ratio of scales {:.6g} needs a left shift; the output scale is too fine for its "
        "input, or multiplier_bits ({}) too few",
        what, r, bits));
  }
  const std::int32_t m = Rounded(r, shift);
  if (m == 0) ThrowVanishes(r, what);
  return {m, shift};
}

MultiplierLimits MultiplierLimitsOf(RequantScheme scheme, int hardware_bits) {
  const RequantLimits limits = LimitsOf(scheme);
  int bits = 0;
  while (bits < 31 && MaxMultiplier(bits) < limits.max_multiplier) ++bits;
  const bool of_hardware =
      scheme == RequantScheme::kRoundShift || scheme == RequantScheme::kRequantShift;
  return {of_hardware ? hardware_bits : bits, limits.max_shift};
}

Multiplier ShiftFor(double r, const std::string& what) {
  // The scales are doubles, so their ratio is a power of two up to the rounding of a few
  // operations.
  const int exponent = std::ilogb(std::fabs(r) * 1.5) + 1;
  if (std::fabs(std::ldexp(std::fabs(r), 1 - exponent) - 1) > 1e-12) {
    throw InputError(fmt::format(
        "{}: hardware.requant power_of_two, and the ratio of scales {:.17g} is none; the next is "
        "{:.17g}",
        what, r, SnapUp(std::fabs(r), 1)));
  }
  const int shift = 1 - exponent;
  if (shift < 0) {
    throw InputError(
        fmt::format("{}: hardware.requant power_of_two only divides, and its scale is {:.6g} times "
                    "finer than that of the sums it is made of; give it fewer bits, or use "
                    "requant: multiplier",
                    what, std::fabs(r)));
  }
  if (shift > kMaxShift) {
    throw InputError(
        fmt::format("{}: the power-of-two ratio {:.6g} needs a shift of {}, which is not in 0..62",
                    what, r, shift));
  }
  return {r < 0 ? -1 : 1, shift};
}

Multiplier HardwareMultiplier(double r, const Hardware& hardware, const std::string& what,
                              const MultiplierLimits& limits) {
  if (hardware.requant == RequantMode::kPowerOfTwo) return ShiftFor(r, what);
  return MultiplierFor(r, limits.bits, what, limits.most_shift);
}

CommonShift CommonShiftFor(std::span<const double> ratios, int bits, const std::string& what) {
  CommonShift result;
  result.shift = kMaxShift;
  for (const double r : ratios) result.shift = std::min(result.shift, LargestShift(r, bits));
  if (result.shift < 0) {
    throw InputError(what +
                     ": a ratio of scales needs a left shift; give the output a coarser scale");
  }
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    result.multipliers.push_back(Rounded(ratios[i], result.shift));
    if (result.multipliers.back() == 0)
      ThrowVanishes(ratios[i], fmt::format("{}, operand {}", what, i));
  }
  return result;
}

double SnapUp(double value, double unit) {
  int exponent = 0;
  const double fraction = std::frexp(value / unit, &exponent);
  double snapped = std::ldexp(unit, fraction == 0.5 ? exponent - 1 : exponent);
  // The division above may have rounded a ratio down to a power of two.
  if (snapped < value) snapped *= 2;
  return snapped;
}

}  // namespace qsim::semantics
