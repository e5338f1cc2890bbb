// The multipliers of an operation beside those that the scales around it ask for.
#pragma once

#include <vector>

#include "golden/ops/requant/scheme.h"
#include "sim/namespaces.h"

namespace qsim::diagnose {

// Multipliers of so many bits at most are narrow: their rounding can be seen in 8-bit outputs.
inline constexpr int kNarrowBits = 8;

// What rounding leaves of a ratio, relative.
inline constexpr double kHealthyRatio = 0.005;

// M / 2^S.
double RealOf(Multiplier multiplier);

struct MultiplierFit {
  double least = 1, most = 1, centre = 1;  // of M / 2^S over the ratio wanted, all channels
  double largest_error = 0;                // relative
  int off = 0;                             // channels beyond half a percent
  int bits = 0;                            // of the widest multiplier
  bool uniform = false;                    // one factor for all channels
  bool rounded = false;                    // each M is the ratio rounded at its own shift
  bool healthy() const { return off == 0; }
};

// Each list has one entry or one for each channel. Multipliers of 0 count as ratios of 0.
MultiplierFit FitMultipliers(const std::vector<Multiplier>& actual,
                             const std::vector<Multiplier>& wanted);

}  // namespace qsim::diagnose
