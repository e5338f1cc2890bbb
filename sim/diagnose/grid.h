// The grid of a tensor: between real numbers and steps of its scale, element by element.
#pragma once

#include <cstddef>
#include <vector>

#include "golden/program/program.h"
#include "sim/bundle/bundle.h"

namespace qsim {

// Both must outlive this.
class Grid {
 public:
  Grid(const TensorInfo& info, const TensorScale& scale);

  // x / s + z of an element, neither rounded nor clamped; log2 codes: -log2 x, and the zero flag
  // for what is not positive. 0 steps above the zero point for a NaN.
  double Units(std::size_t element, double x) const;
  double Real(std::size_t element, double units) const;
  double Clamped(double units) const;
  // Whole units within the range, as the tensor stores them.
  IntTensor Codes(const std::vector<double>& units) const;

  double ScaleAt(std::size_t channel) const {
    return scale_.scale[scale_.scale.size() == 1 ? 0 : channel];
  }
  std::int32_t ZeroAt(std::size_t channel) const {
    return scale_.zero[scale_.zero.size() == 1 ? 0 : channel];
  }
  std::size_t ChannelOf(std::size_t element) const { return element / inner_ % channels_; }

 private:
  const TensorInfo& info_;
  const TensorScale& scale_;
  std::size_t channels_ = 1;
  std::size_t inner_ = 1;
};

}  // namespace qsim
