#include "derivation/observers.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "derivation/exact.h"
#include "golden/ops/one_or_each.h"

namespace qsim::derivation {
namespace {

using Reals = std::vector<mpq_class>;

struct Bounds {
  Reals least, most;  // one, or one for each channel
};

// The linear quantile: between the two values beside position p (n - 1).
mpq_class Quantile(const Reals& sorted, const mpq_class& p) {
  const mpq_class position = p * mpq_class(Big(static_cast<std::int64_t>(sorted.size()) - 1));
  const mpz_class below = Floor(position);
  const auto index = static_cast<std::size_t>(below.get_ui());
  if (index + 1 >= sorted.size()) return sorted.back();
  return sorted[index] + (position - below) * (sorted[index + 1] - sorted[index]);
}

Bounds BoundsOf(const Batch& batch, std::size_t channels, const EstimatorParams& params) {
  if (params.kind == RangeEstimator::kPercentile) {
    Reals sorted = batch;
    std::sort(sorted.begin(), sorted.end());
    return {{Quantile(sorted, 1 - params.alpha)}, {Quantile(sorted, params.alpha)}};
  }
  Bounds bounds{{batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(channels)}, {}};
  bounds.most = bounds.least;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    mpq_class& least = bounds.least[i % channels];
    mpq_class& most = bounds.most[i % channels];
    if (batch[i] < least) least = batch[i];
    if (batch[i] > most) most = batch[i];
  }
  return bounds;
}

// What the batch makes of the running bounds, which may be one number or one for each channel.
Bounds Update(const std::optional<Bounds>& running, const Bounds& batch,
              const EstimatorParams& params) {
  Bounds next = batch;
  const bool average =
      params.kind == RangeEstimator::kEma || params.kind == RangeEstimator::kPercentile;
  for (std::size_t c = 0; running && c < batch.least.size(); ++c) {
    const mpq_class& least = EntryFor(running->least, c);
    const mpq_class& most = EntryFor(running->most, c);
    if (average) {
      next.least[c] = least + params.sigma * (batch.least[c] - least);
      next.most[c] = most + params.sigma * (batch.most[c] - most);
    } else {
      next.least[c] = std::min(least, batch.least[c]);
      next.most[c] = std::max(most, batch.most[c]);
    }
  }
  if (params.layer_wise) {
    next.least = {*std::min_element(next.least.begin(), next.least.end())};
    next.most = {*std::max_element(next.most.begin(), next.most.end())};
  }
  return next;
}

mpq_class AtLeastEps(const mpq_class& scale) { return std::max(scale, Scaled(1, -23)); }

mpq_class Levels(const EstimatorParams& params) { return Big(params.qmax - params.qmin); }

void AddSymmetric(const mpq_class& least, const mpq_class& most, const EstimatorParams& params,
                  DerivedGrid& grid) {
  const mpq_class reach = std::max(mpq_class(-least), most);
  grid.scale.push_back(AtLeastEps(reach / (Levels(params) / 2)));
  grid.zero.emplace_back(0);
}

mpz_class ZeroOf(const mpq_class& least, const mpq_class& scale, const EstimatorParams& params) {
  return Clamp(Big(params.qmin) - HalfEven(least / scale), Big(params.qmin), Big(params.qmax));
}

void AddAsymmetric(const mpq_class& least, const mpq_class& most, const EstimatorParams& params,
                   DerivedGrid& grid) {
  grid.scale.push_back(AtLeastEps((most - least) / Levels(params)));
  grid.zero.push_back(ZeroOf(least, grid.scale.back(), params));
}

mpq_class SquaredError(const mpq_class& x, const mpq_class& scale, const mpz_class& zero,
                       const EstimatorParams& params) {
  const mpq_class error = x - (DeriveCode(x, scale, zero, params) - zero) * scale;
  return error * error;
}

// The range times 1, 0.99, ..., 0.11: the first that quantizes the batch with the least squared
// error.
DerivedGrid LeastError(const Bounds& bounds, const Batch& batch, std::size_t channels,
                       const EstimatorParams& params) {
  DerivedGrid best;
  std::optional<mpq_class> least_error;
  for (int trial = 0; trial < 90; ++trial) {
    const mpq_class factor = Ratio(100 - trial, 100);
    DerivedGrid grid;
    for (std::size_t c = 0; c < bounds.least.size(); ++c) {
      AddAsymmetric(bounds.least[c] * factor, bounds.most[c] * factor, params, grid);
    }
    mpq_class error = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const std::size_t c = i % channels;
      error += SquaredError(batch[i], EntryFor(grid.scale, c), EntryFor(grid.zero, c), params);
    }
    if (!least_error || error < *least_error) {
      least_error = error;
      best = grid;
    }
  }
  return best;
}

// One zero point, and for each channel an eighth, a quarter, half or all of the tensor's scale.
DerivedGrid PowersOfTwo(const Bounds& bounds, const Batch& batch, std::size_t channels,
                        const EstimatorParams& params) {
  DerivedGrid whole;
  AddAsymmetric(*std::min_element(bounds.least.begin(), bounds.least.end()),
                *std::max_element(bounds.most.begin(), bounds.most.end()), params, whole);
  DerivedGrid grid{{}, whole.zero};
  for (std::size_t c = 0; c < channels; ++c) {
    std::optional<mpq_class> least_error;
    mpq_class best;
    for (int power = 3; power >= 0; --power) {
      const mpq_class scale = Scaled(whole.scale[0], -power);
      mpq_class error = 0;
      for (std::size_t i = c; i < batch.size(); i += channels) {
        error += SquaredError(batch[i], scale, whole.zero[0], params);
      }
      if (!least_error || error < *least_error) {
        least_error = error;
        best = scale;
      }
    }
    grid.scale.push_back(best);
  }
  return grid;
}

}  // namespace

DerivedGrid DeriveGrid(const std::vector<Batch>& batches, std::size_t channels,
                       const EstimatorParams& params) {
  std::optional<Bounds> running;
  for (const Batch& batch : batches) {
    running = Update(running, BoundsOf(batch, channels, params), params);
  }
  if (params.kind == RangeEstimator::kOmse) {
    return LeastError(*running, batches.back(), channels, params);
  }
  if (params.kind == RangeEstimator::kPtf) {
    return PowersOfTwo(*running, batches.back(), channels, params);
  }
  DerivedGrid grid;
  for (std::size_t c = 0; c < running->least.size(); ++c) {
    (params.is_signed ? AddSymmetric : AddAsymmetric)(running->least[c], running->most[c], params,
                                                      grid);
  }
  return grid;
}

double Nearest(const mpq_class& x) {
  double nearest = x.get_d();  // cut off towards zero
  const double beyond = std::nextafter(nearest, x < 0 ? -HUGE_VAL : HUGE_VAL);
  if (abs(x - mpq_class(beyond)) < abs(x - mpq_class(nearest))) nearest = beyond;
  return nearest;
}

mpz_class DeriveCode(const mpq_class& x, const mpq_class& scale, const mpz_class& zero,
                     const EstimatorParams& params) {
  const mpq_class quotient = Nearest(x / scale);
  return Clamp(HalfEven(Nearest(quotient + zero)), Big(params.qmin), Big(params.qmax));
}

}  // namespace qsim::derivation
