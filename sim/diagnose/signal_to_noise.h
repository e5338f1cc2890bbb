// Signal and noise power, and what they are at a network's output.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qsim::diagnose {

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

// The output: the logits of a chained program, else the last tensor of each block, of which each
// counts alike.
class OutputPower {
 public:
  OutputPower() = default;
  explicit OutputPower(std::vector<std::string> tensors)
      : tensors_(std::move(tensors)), powers_(tensors_.size()) {}

  Power& At(std::size_t part) { return powers_[part]; }
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
  std::int64_t labelled() const { return labelled_; }
  std::int64_t right() const { return right_; }

 private:
  std::vector<std::string> tensors_;
  std::vector<Power> powers_;
  std::int64_t labelled_ = 0;
  std::int64_t right_ = 0;
};

}  // namespace qsim::diagnose
