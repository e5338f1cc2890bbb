#include "sim/statistics/signal_to_noise.h"

#include <cmath>
#include <limits>

namespace qsim::statistics {

void Power::Add(std::span<const float> reference, std::span<const float> value) {
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double x = static_cast<double>(reference[i]);
    Add(x, x - static_cast<double>(value[i]));
  }
}

double Power::Ratio() const {
  if (noise == 0) return 0;
  const double ratio = noise / signal;
  return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
}

double Decibel(double noise_to_signal) { return -10 * std::log10(noise_to_signal); }

}  // namespace qsim::statistics
