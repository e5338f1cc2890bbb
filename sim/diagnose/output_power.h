// Signal and noise power at a network's output.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/statistics/signal_to_noise.h"

namespace qsim::diagnose {

// A QSNR for comparisons: without noise, and without signal, 200 dB are as good as more.
inline double Finite(double db) { return std::clamp(db, -200.0, 200.0); }

// The output: the logits of a chained program, else the last tensor of each block, of which each
// counts alike.
class OutputPower {
 public:
  OutputPower() = default;
  explicit OutputPower(std::vector<std::string> tensors)
      : tensors_(std::move(tensors)), powers_(tensors_.size()) {}

  void Add(std::size_t part, std::span<const float> reference, std::span<const float> value);
  void Merge(const OutputPower& later);
  // Labelled inputs whose first class was the label, and how many there were.
  void CountClass(bool right);

  // Noise to signal, the mean of the parts.
  double Ratio() const;
  double Db() const { return Decibel(Ratio()); }
  // The part with the most noise: its tensor and its QSNR.
  std::size_t WorstPart() const;
  const std::string& NameOf(std::size_t part) const { return tensors_[part]; }
  double DbOf(std::size_t part) const { return Decibel(powers_[part].Ratio()); }
  std::size_t parts() const { return tensors_.size(); }
  // Of all parts and inputs.
  std::int64_t values() const { return values_; }
  std::int64_t labelled() const { return labelled_; }
  std::int64_t right() const { return right_; }

 private:
  std::vector<std::string> tensors_;
  std::vector<Power> powers_;
  std::int64_t values_ = 0;
  std::int64_t labelled_ = 0;
  std::int64_t right_ = 0;
};

}  // namespace qsim::diagnose
