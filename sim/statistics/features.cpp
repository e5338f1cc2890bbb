#include "sim/statistics/features.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/error.h"
#include "sim/namespaces.h"
#include "sim/statistics/metrics.h"

namespace qsim::statistics {
namespace {

constexpr std::size_t kFewest = 3;  // of two, each is the other's nearest
constexpr double kNormal = 1.959964;

// log(noise / signal) moves with noise_i / mean noise - signal_i / mean signal.
Estimate RatioInDb(std::span<const FeatureDistance> inputs) {
  double signal = 0;
  double noise = 0;
  for (const FeatureDistance& d : inputs) {
    signal += d.signal;
    noise += d.noise;
  }
  if (noise == 0) {
    const double infinity = std::numeric_limits<double>::infinity();
    return {infinity, infinity, infinity};
  }
  const double db = 10 * std::log10(signal / noise);
  if (signal == 0) return {db, db, db};
  std::vector<double> moves;
  const double n = static_cast<double>(inputs.size());
  for (const FeatureDistance& d : inputs)
    moves.push_back(10 / std::log(10.0) * n * (d.signal / signal - d.noise / noise));
  const double half = HalfWidth(moves);
  return {db, db - half, db + half};
}

std::vector<std::vector<float>> Rows(auto values, std::size_t rows) {
  const std::size_t width = values.size() / rows;
  std::vector<std::vector<float>> result(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < width; ++c)
      result[r].push_back(static_cast<float>(values[r * width + c]));
  }
  return result;
}

double ShareOfEqual(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b) {
  std::size_t same = 0;
  for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
  return static_cast<double>(same) / static_cast<double>(a.size());
}

}  // namespace

FeatureDistance DistanceOf(std::span<const float> reference, std::span<const double> value,
                           std::int64_t rows) {
  const auto count = static_cast<std::size_t>(rows);
  if (reference.size() != value.size() || count == 0 || value.size() % count != 0)
    throw InternalError("features that are not rows of one width");
  FeatureDistance distance;
  const std::size_t width = value.size() / count;
  double cosines = 0;
  for (std::size_t row = 0; row < count; ++row) {
    TensorMetrics metrics;
    metrics.Add(reference.subspan(row * width, width), value.subspan(row * width, width));
    cosines += metrics.Cosine();
  }
  distance.cosine = cosines / static_cast<double>(count);
  for (std::size_t i = 0; i < value.size(); ++i) {
    const double x = static_cast<double>(reference[i]);
    distance.signal += x * x;
    distance.noise += (x - value[i]) * (x - value[i]);
  }
  if (count >= kFewest) {
    distance.nearest =
        ShareOfEqual(NearestOthers(Rows(reference, count)), NearestOthers(Rows(value, count)));
  }
  return distance;
}

FeatureSummary SummariseFeatures(std::span<const FeatureDistance> inputs) {
  FeatureSummary summary;
  summary.qsnr_db = RatioInDb(inputs);
  std::vector<double> cosines;
  std::vector<double> nearest;
  for (const FeatureDistance& d : inputs) {
    cosines.push_back(d.cosine);
    if (d.nearest) nearest.push_back(*d.nearest);
  }
  summary.cosine = MeanEstimate(cosines, -1, 1);
  if (!nearest.empty()) summary.nearest = MeanEstimate(nearest, 0, 1);
  return summary;
}

std::vector<std::size_t> NearestOthers(std::span<const std::vector<float>> vectors) {
  std::vector<std::vector<float>> units(vectors.begin(), vectors.end());
  for (std::vector<float>& unit : units) {
    double squares = 0;
    for (const float v : unit) squares += static_cast<double>(v) * static_cast<double>(v);
    if (squares == 0) continue;
    for (float& v : unit) v = static_cast<float>(static_cast<double>(v) / std::sqrt(squares));
  }
  std::vector<std::size_t> nearest(units.size(), 0);
  std::vector<double> best(units.size(), -std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < units.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      double cosine = 0;
      for (std::size_t c = 0; c < units[i].size(); ++c)
        cosine += static_cast<double>(units[i][c]) * static_cast<double>(units[j][c]);
      // i ascends, and so does j within it: the first of equals stays.
      if (cosine > best[i]) best[i] = cosine, nearest[i] = j;
      if (cosine > best[j]) best[j] = cosine, nearest[j] = i;
    }
  }
  return nearest;
}

std::optional<Estimate> NearestAgreement(std::span<const std::vector<float>> reference,
                                         std::span<const std::vector<float>> value) {
  if (reference.size() < kFewest) return std::nullopt;
  const double n = static_cast<double>(reference.size());
  const double share = ShareOfEqual(NearestOthers(reference), NearestOthers(value));
  const double z2 = kNormal * kNormal;
  const double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half =
      kNormal / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return Estimate{share, middle - half, middle + half};
}

}  // namespace qsim::statistics
