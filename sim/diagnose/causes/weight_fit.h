// A linear layer of a program beside the float layer it stands for, output channel by output
// channel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/causes/kinship.h"

namespace qsim::diagnose {

// Sums over a row of the weights, each column weighted with the power of its input.
struct RowFit {
  double exact = 0;     // of w w, the float weights
  double both = 0;      // of w e, e what the codes stand for in place
  double in_place = 0;  // of e e
  // What e is of w: 1 in a healthy row, negative with a flipped sign.
  double Factor() const { return exact > 0 ? both / exact : 1; }
  // Agreement up to a factor, 0..1.
  double Agreement() const {
    return exact > 0 && in_place > 0 ? both * both / (exact * in_place) : 0;
  }
  double Noise() const { return exact - 2 * both + in_place; }
  // With the scale that suits the codes best: what a profile of the weight alone would show.
  double NoiseAlone() const { return in_place > 0 ? exact - both * both / in_place : exact; }
};

class WeightFit {
 public:
  // `column_power` has one entry for each input channel.
  WeightFit(const Bundle& bundle, const std::string& output, const network::Linear& layer,
            const std::vector<double>& column_power);

  std::size_t rows() const { return rows_.size(); }
  std::size_t depth() const { return depth_; }
  const RowFit& Row(std::size_t n) const { return rows_[n]; }
  // A row with enough energy to matter beside the others.
  bool Alive(std::size_t n) const { return rows_[n].exact > 0.02 * mean_energy_; }

  double Signal() const { return signal_; }
  double Noise() const { return noise_; }  // of weights alone, in place
  double NoiseAlone() const { return noise_alone_; }
  double BiasNoise() const { return bias_noise_; }  // weighted as the rows are

  double Weight(std::size_t n, std::size_t k) const {
    return static_cast<double>(layer_.weight.data[n * depth_ + k]);
  }
  // The code less its zero point.
  double Code(std::size_t n, std::size_t k) const { return codes_[n * depth_ + k]; }
  double InPlace(std::size_t n, std::size_t k) const {
    return row_scale_[n] * codes_[n * depth_ + k] / column_scale_[k];
  }
  double Bias(std::size_t n) const { return static_cast<double>(layer_.bias[n]); }
  double BiasInPlace(std::size_t n) const { return bias_[n]; }
  // The scale that the accumulator is stated to have, and the largest code's magnitude.
  double RowScale(std::size_t n) const { return row_scale_[n]; }
  double LargestCode(std::size_t n) const;

  // The bias as it is stored, less what corrects for the input's zero point: in steps of the
  // accumulator. And that correction.
  double BiasCode(std::size_t n) const { return bias_[n] / row_scale_[n]; }
  double ZeroCorrection(std::size_t n) const { return -input_zeros_[n]; }
  double InputScale(std::size_t k) const { return column_scale_[k]; }

  // The float weights, and what stands for them in place: by output or by input channel.
  Lines Rows(bool in_place) const;
  Lines Columns(bool in_place) const;

 private:
  const network::Linear& layer_;
  std::size_t depth_;
  std::vector<double> codes_, row_scale_, column_scale_, bias_, input_zeros_;
  std::vector<RowFit> rows_;
  double signal_ = 0, noise_ = 0, noise_alone_ = 0, bias_noise_ = 0, mean_energy_ = 0;
};

}  // namespace qsim::diagnose
