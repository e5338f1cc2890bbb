// Which tensors of a checkpoint a vision transformer computes with: none may be missing, none left
// out in silence.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/inputs/manifest.h"
#include "sim/network/families/checkpoint.h"

namespace qsim::network {

// What of a network there is beside its blocks.
struct NetworkParts {
  std::int64_t depth = 0;
  bool patches = false;   // images enter it, not token embeddings
  bool norm_pre = false;  // before the first block
  // Behind the last block; whose tensors: "norm" or "fc_norm".
  bool norm = false;
  std::string_view norm_name = "norm";
  bool pooled = false;  // it goes on with the mean of the patches, not with all tokens
  bool head = false;
  bool head_dist = false;  // a second head, on the distillation token
  // Of a block, the tensors that not every model has: "attn.qkv.bias", "ls1.gamma".
  std::set<std::string, std::less<>> optional;
};

// Variants that compute something else. Throws InputError naming tensors that give one away, and
// why.
void RejectVariants(const Checkpoint& checkpoint);

// Blocks, head and biases as the tensors tell them. A depth that the manifest states counts. A head
// that ignore_tensors lists is none. Throws InputError when the file holds more blocks than that.
NetworkParts PartsOf(const Checkpoint& checkpoint, const Manifest& manifest, bool patches);

// Throws InputError naming the tensors that the parts need and the file lacks.
void RequireTensors(const Checkpoint& checkpoint, const Manifest& manifest,
                    const NetworkParts& parts);

// The others, as left_out.h.
std::vector<std::string> LeftOut(const Checkpoint& checkpoint, const Manifest& manifest,
                                 const NetworkParts& parts);

}  // namespace qsim::network
