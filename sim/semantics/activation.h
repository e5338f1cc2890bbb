// A grid as the lowering uses it: every channel spelled out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"

namespace qsim::semantics {

// A tensor with one scale and zero point for each channel of its last axis (of planes: for each
// plane; of weights: for each row), expanded even where all are equal.
struct Activation {
  std::string name;  // of the tensor
  QuantRange range;
  std::vector<double> scale;
  std::vector<std::int32_t> zero;
  // What a function-preserving rewrite divided the channels by; the tensor's own scale is `scale`
  // times this. Empty: nothing.
  std::vector<double> factor;
  WeightRounding rounding = WeightRounding::kNearest;  // of a layer's weights

  double FactorOf(std::size_t channel) const { return factor.empty() ? 1.0 : factor[channel]; }
  // The one scale that is left where those of the channels are absorbed into the weights that
  // follow.
  double Absorbed() const { return *std::max_element(scale.begin(), scale.end()); }
  bool operator==(const Activation&) const = default;
};

// What a bundle states of it, and what it states: of one of the program's tensors in the tensor's
// own units, or in those that are left when its factors are taken out; of a layer's weights, whose
// range is the smallest that holds their codes.
TensorScale ToState(const Activation& grid, ChannelAxis axis);
Activation StatedActivation(const Bundle& bundle, const std::string& tensor);
Activation StatedUnits(const Bundle& bundle, const std::string& tensor);
Activation StatedWeights(const Bundle& bundle, const std::string& weight);

// One entry when all are equal, as they were otherwise.
template <typename T>
std::vector<T> Compressed(std::vector<T> values) {
  for (const T& v : values) {
    if (!(v == values.front())) return values;
  }
  values.resize(1);
  return values;
}

// Group values repeated for each of their channels.
template <typename T>
std::vector<T> Expanded(const std::vector<T>& groups, std::size_t channels) {
  std::vector<T> values(channels);
  for (std::size_t c = 0; c < channels; ++c) values[c] = groups[c * groups.size() / channels];
  return values;
}

}  // namespace qsim::semantics
