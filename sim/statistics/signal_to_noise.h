// Signal and noise power of a tensor.
#pragma once

#include <span>

#include "sim/namespaces.h"

namespace qsim::statistics {

// Sums over elements; summed image by image and merged in image order, so that they depend on
// nothing else.
struct Power {
  double signal = 0;  // sum x^2
  double noise = 0;   // sum (x - y)^2
  void Add(std::span<const float> reference, std::span<const float> value);
  void Add(double reference, double error) {
    signal += reference * reference;
    noise += error * error;
  }
  void Merge(const Power& later) {
    signal += later.signal;
    noise += later.noise;
  }
  // Noise to signal; 0 without noise, infinite for noise without signal.
  double Ratio() const;
};

// -10 log10(ratio): a QSNR in dB; infinite for 0.
double Decibel(double noise_to_signal);

}  // namespace qsim::statistics
