#include "sim/diagnose/signal_to_noise.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/namespaces.h"

namespace qsim::diagnose {

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

void OutputPower::Merge(const OutputPower& later) {
  for (std::size_t i = 0; i < powers_.size(); ++i) powers_[i].Merge(later.powers_[i]);
  labelled_ += later.labelled_;
  right_ += later.right_;
}

void OutputPower::CountClass(bool right) {
  ++labelled_;
  if (right) ++right_;
}

double OutputPower::Ratio() const {
  double sum = 0;
  for (const Power& p : powers_) sum += p.Ratio();
  return sum / static_cast<double>(powers_.size());
}

std::size_t OutputPower::WorstPart() const {
  const auto worst =
      std::max_element(powers_.begin(), powers_.end(),
                       [](const Power& a, const Power& b) { return a.Ratio() < b.Ratio(); });
  return static_cast<std::size_t>(worst - powers_.begin());
}

}  // namespace qsim::diagnose
