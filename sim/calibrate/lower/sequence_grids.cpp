#include "sim/calibrate/lower/sequence_grids.h"

#include <algorithm>
#include <cmath>

#include "sim/semantics/multiplier.h"

namespace qsim::calibrate {

Activation FractionsGrid(const NodePlan& decay) {
  const int bits = decay.section->bits;
  const auto channels = static_cast<std::size_t>(decay.node->shape.back());
  return {decay.node->name,
          {0, (1 << bits) - 1},
          std::vector<double>(channels, std::ldexp(1.0, -bits)),
          std::vector<std::int32_t>(channels, -1),
          {}};
}

Activation StateGrid(const NodePlan& state, const std::vector<RealRange>& seen,
                     const Activation& key, const Activation& value) {
  constexpr double kHeadroom = 4;
  const std::int64_t half = std::int64_t{1} << (state.section->bits - 1);
  // Where a head holds next to nothing its steps are still steps that an update's multiplier
  // reaches: by chunks one with a shift of some bits.
  const int bits =
      state.numerics.recurrence_chunk != 0 ? 8 : std::min(state.hardware.multiplier_bits, 16) - 1;
  const double finest = std::ldexp(key.scale[0] * value.scale[0], -bits);
  Activation grid;
  grid.name = state.node->name;
  grid.range = {static_cast<std::int32_t>(-half), static_cast<std::int32_t>(half - 1)};
  for (const RealRange& range : seen) {
    const double wanted = kHeadroom * std::max(-range.min, range.max) / static_cast<double>(half);
    grid.scale.push_back(SnapUp(std::max(wanted, finest), 1));
  }
  grid.zero.assign(grid.scale.size(), 0);
  return grid;
}

}  // namespace qsim::calibrate
