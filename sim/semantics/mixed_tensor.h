// One tensor of a program as real numbers, on its grid or off it.
#pragma once

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "sim/bundle/grid.h"
#include "sim/io/tensors/float_tensor.h"

namespace qsim::semantics {

// In storage order.
using Reals = std::vector<double>;

// What an operation is in real numbers: floats where the network's node computes them.
using ExactValue = std::variant<FloatTensor, Reals>;

// The values of one tensor for one image. Not to be shared between threads.
class MixedTensor {
 public:
  explicit MixedTensor(FloatTensor real) : real_(std::move(real)) {}
  MixedTensor(IntTensor codes, const Grid& grid) : codes_(std::move(codes)), grid_(grid) {}

  const FloatTensor& real() const;  // dequantized when it is first asked for
  Reals Doubles() const;            // of codes, with more digits
  const IntTensor* codes() const { return codes_ ? &*codes_ : nullptr; }  // null off the grid

 private:
  mutable FloatTensor real_;
  std::optional<IntTensor> codes_;
  std::optional<Grid> grid_;  // where there are codes
};

}  // namespace qsim::semantics
