// Vision transformers, read from safetensors under the names that their libraries give them
// (naming.h): Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::network {

// Reads every tensor that the network needs; what was assumed, rewritten or left out is in its
// notes. Throws InputError naming the tensor when one is missing, has another shape than the
// manifest's geometry says, or holds a NaN or Inf, and for a tensor that is not known to do
// nothing.
Network LoadVit(const Manifest& manifest);

}  // namespace qsim::network
