// A tensor's grid as the lowering uses it: every channel spelled out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/requantize.h"

namespace qsim {

// A quantized tensor with one scale and zero point for each channel of its last axis (of planes:
// for each plane), expanded even where all are equal.
struct Activation {
  std::string name;  // of the tensor
  QuantRange range;
  std::vector<double> scale;
  std::vector<std::int32_t> zero;
  // What a function-preserving rewrite divided the channels by; the tensor's own scale is `scale`
  // times this. Empty: nothing.
  std::vector<double> factor;

  double FactorOf(std::size_t channel) const { return factor.empty() ? 1.0 : factor[channel]; }
  // The one scale that is left where those of the channels are absorbed into the weights that
  // follow.
  double Absorbed() const { return *std::max_element(scale.begin(), scale.end()); }
};

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

}  // namespace qsim
