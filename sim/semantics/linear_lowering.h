// Weights and biases of a linear layer to integers, between stated grids. docs/numerics.md
// section 3.
#pragma once

#include <string>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/bundle/bundle.h"
#include "sim/network/network.h"
#include "sim/semantics/activation.h"

namespace qsim::semantics {

// A linear layer in the units of its integer input: real = scale * (x - zero[k]), one zero point
// for each input channel; where the scale is one for each channel, it has moved into the weights.
struct RealLayer {
  std::string name;         // of its products, for messages and notes
  FloatTensor weight;       // [N, K]
  std::vector<float> bias;  // [N]
  double input_scale = 1;
  std::vector<std::int32_t> input_zero;
  std::size_t kernel = 0;  // columns of a convolution's kernel; 0: of the whole row
};
// `factor`: what its rows are divided by; may be empty.
RealLayer Rewritten(std::string name, network::Linear layer, const std::vector<double>& factor,
                    const Activation& input);

// The first of scale, 2 scale, 4 scale, ... with which the biases of a group of rows are at most
// `limit` steps: a (nearly) dead channel. Noted.
double RaisedForBias(const RealLayer& layer, std::int64_t first_row, std::int64_t rows,
                     double scale, double limit, std::vector<LoweringNote>& notes);

// What the array's second operand has instead: it is int8, and unsigned codes are stored minus half
// their range.
Activation Recentred(Activation grid);

struct QuantizedLinear {
  IntTensor weight;  // int8 [N, K], re-centred
  IntTensor bias;    // int32 [N], input zero points folded in
};
// `grid`: of the weights, one entry for each row, and how they are rounded. Throws InputError
// naming layer and channel when a folded bias does not fit int32. `mean`: of the input's channels,
// in the units of the weights; then the bias takes up what rounding the weights changes in the
// mean. Empty: it does not.
QuantizedLinear QuantizeLinear(const RealLayer& layer, const Activation& grid,
                               const std::vector<double>& mean = {},
                               QuantizeRule rule = QuantizeRule::kZeroThenHalfEven);

}  // namespace qsim::semantics
