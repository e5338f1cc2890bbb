// Grids of weights and accumulators: those of the activations around a product stand already.
#pragma once

#include <vector>

#include "sim/calibrate/lower/grid_chooser.h"
#include "sim/semantics/linear_lowering.h"

namespace qsim::calibrate {

// Of a layer or a convolution its weights' grid, and of all that accumulates the accumulator's; of
// any other node nothing. Raised scales are noted. Throws InputError.
void ChooseProducts(const Plan& plan, const NodePlan& node, const InputSource& source, Grids& grids,
                    std::vector<LoweringNote>& notes);
// The accumulator's alone, from the grids of its operands.
Activation ProductsGrid(const Plan& plan, const NodePlan& node, const Grids& grids);
// Of the sums of a softmax's rows, and of the product's accumulator over them.
Activation SumsGrid(const NodePlan& softmax, const Grids& grids);
Activation QuotientGrid(const Plan& plan, const NodePlan& product, const Grids& grids);

// The largest |bias| in steps of the accumulator.
double BiasLimit(const Accumulator& acc);

// D of a Scaled node in codes of 16 bits, and their step.
struct FactorCodes {
  std::vector<std::int16_t> codes;
  double step = 1;
};
FactorCodes FactorsOf(const network::Scaled& scaled);

// The float layer of a Projection, or of a convolution, whose inputs are the tokens that it sees; of one that reads pixels, W x with x = (p / 255 - mean) / std:
// std moves into the weights, mean into the bias, and a pixel keeps its code with the scale 1 /
// 255.
network::Linear LayerOf(const network::Network& network, const network::Node& node,
                        const InputSource& source);
// That layer between its grids.
RealLayer RealLayerOf(const Plan& plan, const NodePlan& node, network::Linear layer,
                      const Grids& grids);
// What the rows of a layer were divided by, for the factors between Q and K; empty: nothing.
std::vector<double> RowFactors(const Plan& plan, const NodePlan& node, const Grids& grids);

}  // namespace qsim::calibrate
