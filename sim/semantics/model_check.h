// Whether a bundle's program is one of a model: what comparing the two relies on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::semantics {

// An operation that reads other tensors than the network's node does.
struct Rewiring {
  std::string tensor;                // its output
  std::vector<std::string> network;  // what it would read, in order
  std::string text;                  // "reads 'X' where the network has 'Y'"
};
std::vector<Rewiring> RewiringsOf(const Program& program, const network::Network& model);

// Whether operations may read other tensors than the network's nodes do.
enum class Wiring : std::uint8_t { kOfModel, kAny };

// Throws InputError naming the tensor: an operation or an input that the model does not have,
// another shape, weights without scales, inputs of another kind or size, another wiring.
void CheckStandsFor(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs,
                    Wiring wiring = Wiring::kOfModel);

}  // namespace qsim::semantics
