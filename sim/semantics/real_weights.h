// The weights of a program as real numbers: what the float model has, and what the integers stand
// for.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "golden/program/program.h"
#include "sim/bundle/bundle.h"
#include "sim/network/network.h"

namespace qsim::semantics {

// The linear layer that a product stands for, by its output; null where the model has none.
const network::Linear* LinearOf(const network::Network& model, const std::string& output);

// The weights of that layer, or of a convolution: [N, K]; null where the model has none.
const FloatTensor* FloatWeights(const network::Network& model, const std::string& output);

// The real weights [N, K] that the integers of one product (an operation with a weight) stand for,
// in storage order and in the units of the float model's own weights: what the lowering moved into
// them (scales per channel of the input, factors between the rows of Q and K, and of pixels the
// `deviation` of their channels, empty where there are none) is taken out again. Throws
// InternalError where the scales of weight, input or output do not fit the product.
std::vector<double> RealWeights(const Bundle& bundle, const Op& op,
                                std::span<const double> deviation);

}  // namespace qsim::semantics
