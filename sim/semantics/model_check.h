// Whether a bundle's program is one of a model: what comparing the two relies on.
#pragma once

#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::semantics {

// Throws InputError naming the tensor: an operation or an input that the model does not have,
// another shape, weights without scales, inputs of another kind or size.
void CheckStandsFor(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs);

}  // namespace qsim::semantics
