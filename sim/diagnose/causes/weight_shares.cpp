#include "sim/diagnose/causes/weight_shares.h"

#include <algorithm>
#include <cmath>

#include "sim/statistics/pair_sums.h"

namespace qsim::diagnose {

bool AllNear(const std::vector<double>& values, double centre) {
  constexpr double kSame = 0.04;
  return std::all_of(values.begin(), values.end(),
                     [&](double v) { return std::fabs(v - centre) <= kSame * std::fabs(centre); });
}

double LargestWeight(const WeightFit& fit, std::size_t n) {
  double largest = 0;
  for (std::size_t k = 0; k < fit.depth(); ++k)
    largest = std::max(largest, std::fabs(fit.Weight(n, k)));
  return largest;
}

double LogCorrelation(const std::vector<double>& a, const std::vector<double>& b) {
  PairSums sums;
  for (std::size_t i = 0; i < a.size(); ++i) sums.Add(std::log(a[i]), std::log(b[i]));
  return sums.Correlation();
}

double GrowthPower(const WeightFit& fit) {
  double exact = 0;
  double in_place = 0;
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    exact += fit.Row(n).exact;
    in_place += fit.Row(n).in_place;
  }
  return in_place / exact;
}

double NegativeShare(const WeightFit& fit, const std::vector<std::size_t>& rows) {
  double negative = 0;
  for (const std::size_t n : rows) {
    for (std::size_t k = 0; k < fit.depth(); ++k) negative += fit.Weight(n, k) < 0;
  }
  return negative / static_cast<double>(rows.size() * fit.depth());
}

bool NegativesLost(const WeightFit& fit, const std::vector<std::size_t>& rows) {
  double negative = 0;
  for (const std::size_t n : rows) {
    for (std::size_t k = 0; k < fit.depth(); ++k) negative += fit.Code(n, k) < 0;
  }
  return negative < 0.005 * static_cast<double>(rows.size() * fit.depth()) &&
         NegativeShare(fit, rows) > 0.2;
}

double TransposedAgreement(const WeightFit& fit) {
  if (fit.rows() != fit.depth()) return 0;
  double both = 0;
  double exact = 0;
  double own = 0;
  for (std::size_t n = 0; n < fit.rows(); ++n) {
    for (std::size_t k = 0; k < fit.depth(); ++k) {
      both += fit.Weight(k, n) * fit.InPlace(n, k);
      exact += fit.Weight(k, n) * fit.Weight(k, n);
      own += fit.InPlace(n, k) * fit.InPlace(n, k);
    }
  }
  return both > 0 ? both * both / (exact * own) : 0;
}

double ShareOfExtremes(const WeightFit& fit, const std::vector<std::size_t>& rows) {
  constexpr double kFewCodes = 8;
  double extremes = 0;
  for (const std::size_t n : rows) {
    const double largest = fit.LargestCode(n);
    if (largest <= kFewCodes) continue;
    extremes -= 1;  // the largest itself
    for (std::size_t k = 0; k < fit.depth(); ++k)
      extremes += std::fabs(fit.Code(n, k)) >= largest - 1;
  }
  return std::max(0.0, extremes) / static_cast<double>(rows.size() * fit.depth());
}

double ShareOfOtherCodes(const WeightFit& fit, const std::vector<std::size_t>& rows) {
  constexpr double kSteps = 1.5;
  double other = 0;
  for (const std::size_t n : rows) {
    const double largest = fit.LargestCode(n);
    for (std::size_t k = 0; k < fit.depth(); ++k) {
      const double off = fit.Code(n, k) * (fit.InPlace(n, k) - fit.Weight(n, k));
      other += std::fabs(fit.Code(n, k)) < largest - 1 &&
               std::fabs(off) > kSteps * std::fabs(fit.InPlace(n, k));
    }
  }
  return other / static_cast<double>(rows.size() * fit.depth());
}

double ShareOfConstants(const WeightFit& fit, const std::vector<std::size_t>& rows) {
  double all = 0;
  double constant = 0;
  for (const std::size_t n : rows) {
    double sum = 0;
    for (std::size_t k = 0; k < fit.depth(); ++k) {
      const double off = fit.InPlace(n, k) - fit.Weight(n, k);
      sum += off;
      all += off * off;
    }
    constant += sum * sum / static_cast<double>(fit.depth());
  }
  return all > 0 ? constant / all : 0;
}

}  // namespace qsim::diagnose
