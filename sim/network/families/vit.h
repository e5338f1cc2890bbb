// Vision transformers with timm's names and geometry, read from safetensors: Dosovitskiy et al.,
// "An Image is Worth 16x16 Words", ICLR 2021.
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::network {

// Reads every tensor that the network needs. Throws InputError naming the tensor when one is
// missing, has another shape than the manifest's geometry says, or holds a NaN or Inf, and for a
// tensor that is not used.
Network LoadVit(const Manifest& manifest);

}  // namespace qsim::network
