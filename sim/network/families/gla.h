// Language models with gated linear attention, as flash-linear-attention's GLAForCausalLM stores
// them: Yang et al., "Gated Linear Attention Transformers with Hardware-Efficient Training", ICML
// 2024.
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::network {

// Geometry and settings are those of the model's config.json; docs/language_models.md names them.
// Throws InputError naming the key of one that is not covered, or not known; naming the tensor when
// one is missing, has another shape, or holds a NaN or Inf, and for a tensor that is not known to
// do nothing.
Network LoadGla(const Manifest& manifest);

}  // namespace qsim::network
