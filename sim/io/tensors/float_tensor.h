// A dense, row-major tensor of floats: weights, inputs and float taps. Every loader guarantees
// finite values and data.size() == the product of shape.
#pragma once

#include <vector>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::io {

struct FloatTensor {
  Shape shape;
  std::vector<float> data;
};

// float64, for parameters whose last bit decides a result.
struct DoubleTensor {
  Shape shape;
  std::vector<double> data;
};

}  // namespace qsim::io
