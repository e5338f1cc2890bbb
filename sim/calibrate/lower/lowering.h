// The second phase of lowering: every operation's integers, from the float weights and from the
// grids that are stated around it. docs/numerics.md gives each operation.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/calibrate/lower/weight_chooser.h"

namespace qsim::calibrate {

// What is derived, and from which float layer where it is not the network's own.
struct DeriveOptions {
  std::function<bool(const std::string& tensor)> wanted;            // empty: everything
  std::function<network::Linear(const network::Node& node)> layer;  // empty: the network's
  // Of a tensor's channels, where the layers that read it correct their biases; empty: of none.
  std::function<std::vector<double>(const std::string& node)> means;
};

// Appends the plan's tensors, constants, operations and scales to the bundle. Throws InputError
// naming tensor and channel when a scale cannot be turned into integers.
void Derive(const Plan& plan, const Grids& grids, const InputSource& source, Bundle& bundle,
            const DeriveOptions& options = {});

}  // namespace qsim::calibrate
