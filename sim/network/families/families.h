// The families of networks, and which of them a model belongs to.
#pragma once

#include <filesystem>

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::network {

// By model_type of the model's config.json, or else by the names of its weights: gated linear
// attention (gla.h), Mamba-2 (mamba2.h), or a vision transformer (vit.h). Throws InputError as
// these do.
Network LoadNetwork(const Manifest& manifest);
// Whether that is a vision transformer.
bool IsVisionTransformer(const Manifest& manifest);

}  // namespace qsim::network
