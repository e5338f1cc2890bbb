// Means and ratios with their 95 % intervals, over inputs that were drawn at random.
#pragma once

#include <span>

#include "sim/namespaces.h"

namespace qsim::statistics {

// With its 95 % interval; NaN on both sides where one input tells none.
struct Estimate {
  double value = 0;
  double low = 0, high = 0;
};

// Student's t, 97.5 %: the half-width of the 95 % interval of a mean.
double HalfWidth(std::span<const double> values);
// The mean, its interval within least..most.
Estimate MeanEstimate(std::span<const double> values, double least, double most);
// sum a / sum b of pairs, by the delta method; of equal b, it is a mean of a. sum b is not 0.
Estimate RatioEstimate(std::span<const double> a, std::span<const double> b);

}  // namespace qsim::statistics
