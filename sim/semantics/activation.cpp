#include "sim/semantics/activation.h"

#include <cmath>

#include "sim/bundle/grids_file.h"

namespace qsim::semantics {

TensorScale ToState(const Activation& grid, ChannelAxis axis) {
  TensorScale stated;
  stated.scale = grid.scale;
  for (std::size_t c = 0; c < grid.factor.size(); ++c) stated.scale[c] *= grid.factor[c];
  stated.zero = grid.zero;
  if (!grid.factor.empty()) stated.unit = Compressed(grid.scale);
  stated.factor = grid.factor;
  stated.rounding = grid.rounding;
  if (Compressed(stated.scale).size() == 1 && Compressed(stated.zero).size() == 1) {
    stated.scale.resize(1);
    stated.zero.resize(1);
  } else {
    stated.axis = axis;
  }
  return stated;
}

Activation StatedActivation(const Bundle& bundle, const std::string& tensor) {
  const TensorInfo& info = bundle.program.Tensor(tensor);
  const TensorScale& stated = bundle.scales.at(tensor);
  const auto channels =
      static_cast<std::size_t>(info.shape.size() == 2 ? info.shape.back() : info.shape.front());
  return {
      tensor, info.range, Expanded(stated.scale, channels), Expanded(stated.zero, channels), {}};
}

Activation StatedUnits(const Bundle& bundle, const std::string& tensor) {
  Activation grid = StatedActivation(bundle, tensor);
  const TensorScale& stated = bundle.scales.at(tensor);
  // A scale that was changed since is no product any more.
  if (stated.Rewritten()) {
    grid.scale = Expanded(stated.unit, grid.scale.size());
    grid.factor = stated.factor;
  }
  // The array sees a log2 code c as 2^(15 - c).
  if (stated.kind == TensorScale::Kind::kLog2) grid.scale = {std::ldexp(1.0, -15)};
  return grid;
}

Activation StatedWeights(const Bundle& bundle, const std::string& weight) {
  const IntTensor& codes = bundle.program.Constant(weight);
  const TensorScale& stated = bundle.scales.at(weight);
  const auto rows = static_cast<std::size_t>(codes.shape().at(0));
  return {weight, RangeOfCodes(codes), Expanded(stated.scale, rows), Expanded(stated.zero, rows),
          {},     stated.rounding};
}

}  // namespace qsim::semantics
