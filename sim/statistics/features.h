// How far an executor's features are from float's where no labels say what is right.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/namespaces.h"
#include "sim/statistics/estimate.h"

namespace qsim::statistics {

// Of one input, over the rows (tokens) of a tensor.
struct FeatureDistance {
  double signal = 0;  // sum x^2
  double noise = 0;   // sum (x - y)^2
  double cosine = 1;  // mean over the rows
  // Share of the rows whose nearest other row is the same in float; absent: fewer than three rows.
  std::optional<double> nearest = {};
  bool operator==(const FeatureDistance&) const = default;
};
FeatureDistance DistanceOf(std::span<const float> reference, std::span<const double> value,
                           std::int64_t rows);

struct FeatureSummary {
  Estimate qsnr_db;  // of all inputs together
  Estimate cosine;
  std::optional<Estimate> nearest;
};
// Inputs are what was drawn at random: the rows of one are not independent. Means have Student's t;
// the ratio in dB by the delta method. Not empty.
FeatureSummary SummariseFeatures(std::span<const FeatureDistance> inputs);

// One vector for each input: the share of inputs whose nearest other input is the same among the
// values as among float's. Wilson's interval. Absent: fewer than three inputs.
std::optional<Estimate> NearestAgreement(std::span<const std::vector<float>> reference,
                                         std::span<const std::vector<float>> value);

// For each vector the other one of the largest cosine, of equals the first; zero vectors are at
// right angles to all.
std::vector<std::size_t> NearestOthers(std::span<const std::vector<float>> vectors);

}  // namespace qsim::statistics
