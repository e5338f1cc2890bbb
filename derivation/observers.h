// FQ-ViT's range estimators in rational numbers, as its code computes them, batch by batch. What
// qsim's observers do with the same data is sim/calibrate/observe's, in floating point.
#pragma once

#include <gmpxx.h>

#include <cstdint>
#include <vector>

namespace qsim::derivation {

enum class RangeEstimator : std::uint8_t { kMinmax, kEma, kPercentile, kOmse, kPtf };

struct EstimatorParams {
  RangeEstimator kind = RangeEstimator::kMinmax;
  bool layer_wise = true;  // else by channel
  bool is_signed = true;
  std::int64_t qmin = -128, qmax = 127;
  mpq_class sigma, alpha;
};

struct DerivedGrid {
  std::vector<mpq_class> scale;  // one, or one for each channel
  std::vector<mpz_class> zero;
};

// Values with the channel as the last axis.
using Batch = std::vector<mpq_class>;

DerivedGrid DeriveGrid(const std::vector<Batch>& batches, std::size_t channels,
                       const EstimatorParams& params);

// The float64 next to it, which is what a quotient of float64 numbers is.
double Nearest(const mpq_class& x);

// q of one value: clamp(half_even(x / scale + zero), qmin, qmax). The quotient and the sum are
// float64 as in the source: the end of a symmetric range is a tie there, which no rounded scale
// divides exactly.
mpz_class DeriveCode(const mpq_class& x, const mpq_class& scale, const mpz_class& zero,
                     const EstimatorParams& params);

}  // namespace qsim::derivation
