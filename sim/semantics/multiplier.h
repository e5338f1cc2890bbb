// From a real ratio of scales to the integers M and S. docs/numerics.md section 4.2.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "golden/ops/requantize.h"
#include "sim/config/section.h"

namespace qsim::semantics {

// The magnitude that M may take: 2^bits - 1.
std::int32_t MaxMultiplier(int bits);

// S the largest in 0..most_shift for which M = round_half_even(r 2^S) has a magnitude of at most
// `bits` bits (2..31). `what` names tensor and channel for the message. Throws InputError when r
// would need S < 0 or when M is 0.
Multiplier MultiplierFor(double r, int bits, const std::string& what, int most_shift = 62);

// How wide a requantize scheme's multiplier is, and how far it shifts; `hardware_bits` where the
// scheme leaves the width to the hardware.
struct MultiplierLimits {
  int bits = 16;
  int most_shift = 62;
};
MultiplierLimits MultiplierLimitsOf(RequantScheme scheme, int hardware_bits);

// r = +-2^-S exactly, S in 0..62, as +-1 and S. Throws InputError for any other r.
Multiplier ShiftFor(double r, const std::string& what);

// What the hardware has for r: in power-of-two mode a shift alone, otherwise M within the limits.
Multiplier HardwareMultiplier(double r, const Hardware& hardware, const std::string& what,
                              const MultiplierLimits& limits);

// Several ratios over one shift: the largest S in 0..62 for which every round_half_even(r 2^S)
// fits.
struct CommonShift {
  int shift = 0;
  std::vector<std::int32_t> multipliers;
};
CommonShift CommonShiftFor(std::span<const double> ratios, int bits, const std::string& what);

// The smallest unit * 2^n, n any integer, that is at least `value`. Both are positive.
double SnapUp(double value, double unit);

}  // namespace qsim::semantics
