// Numbers that tell one fault of a linear layer from another.
#pragma once

#include <vector>

#include "sim/diagnose/causes/weight_fit.h"

namespace qsim::diagnose {

// Whether values are one number, up to a few percent.
bool AllNear(const std::vector<double>& values, double centre);
// Of positive numbers; 0 where one of the two does not vary.
double LogCorrelation(const std::vector<double>& a, const std::vector<double>& b);

double LargestWeight(const WeightFit& fit, std::size_t n);
// Energy of what the codes stand for in place over that of the float weights.
double GrowthPower(const WeightFit& fit);
// How well the codes agree with the transposed float weights, 0..1; 0 where they are not square.
double TransposedAgreement(const WeightFit& fit);

// Of the rows given: the share of negative float weights.
double NegativeShare(const WeightFit& fit, const std::vector<std::size_t>& rows);
// Whether the float weights have negative values, and the codes hardly any.
bool NegativesLost(const WeightFit& fit, const std::vector<std::size_t>& rows);
// The share of codes at the ends of their range; rows of few bits, whose ends are much of the
// range, count as having none.
double ShareOfExtremes(const WeightFit& fit, const std::vector<std::size_t>& rows);
// The share of codes that are more than a step and a half from the float weights, the ends of the
// range left out.
double ShareOfOtherCodes(const WeightFit& fit, const std::vector<std::size_t>& rows);
// The share of the noise that one number for each row explains.
double ShareOfConstants(const WeightFit& fit, const std::vector<std::size_t>& rows);

}  // namespace qsim::diagnose
