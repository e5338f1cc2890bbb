// Which tensors of a weights file a model uses: none may be missing, none left out in silence.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "sim/inputs/manifest.h"
#include "sim/io/tensors/safetensors.h"

namespace qsim::network {

// What of a network there is beside its blocks.
struct NetworkParts {
  std::int64_t depth = 0;
  bool patches = false;  // images enter it, not token embeddings
  bool qkv_bias = false;
  bool head = false;
};

// timm's variants that compute something else. Throws InputError naming every tensor that gives one
// away, and why.
void RejectVariants(const Safetensors& file);

// Blocks, head and biases as the file's names tell them. A depth that the manifest states counts.
// Throws InputError when the file holds more blocks than it.
NetworkParts PartsOf(const Safetensors& file, const Manifest& manifest, bool patches);

// Throws InputError naming every tensor that the parts need and the file lacks.
void RequireTensors(const Safetensors& file, const Manifest& manifest, const NetworkParts& parts);

// The others, which no part uses: checked for NaN and Inf all the same. Throws InputError naming
// every one that is neither harmless nor listed in the manifest's ignore_tensors, or a pattern
// there that matches none.
void RejectUnusedTensors(const Safetensors& file, const Manifest& manifest,
                         const NetworkParts& parts);

}  // namespace qsim::network
