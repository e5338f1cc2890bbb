// The second phase of lowering: every operation's integers, from the float weights and from the
// grids that are stated around it. docs/numerics.md gives each operation.
#pragma once

#include "sim/calibrate/lower/grid_chooser.h"
#include "sim/calibrate/observe/calibration.h"

namespace qsim {

// Appends the plan's tensors, constants, operations, scales and notes to the bundle. Throws
// InputError naming tensor and channel when a scale cannot be turned into integers.
void Derive(const Plan& plan, const Grids& grids, const InputSource& source, Bundle& bundle);

// W x with x = (p / 255 - mean) / std: std moves into the weights, mean into the bias, and a pixel
// keeps its code with the scale 1 / 255.
network::Linear FoldedPixels(const network::Linear& layer, const std::vector<double>& mean,
                             const std::vector<double>& stddev);

// Positions (row 0: with the row in front) in the residual stream's scale.
IntTensor PositionCodes(const network::Positions& positions, const Activation& embed);

}  // namespace qsim
