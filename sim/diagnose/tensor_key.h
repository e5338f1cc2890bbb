// The section of the configuration that decides a tensor of the program.
#pragma once

#include <optional>
#include <string>

#include "sim/config/sections.h"

namespace qsim {

struct TensorKey {
  std::string section;  // "attn_q_out", "mlp_fc1.output"
  int block = -1;       // -1: outside the blocks
  std::string text;     // "blocks.0.attn_q_out", "blocks.0.mlp_fc1.output", "embed"
};

// Nullopt for tensors that no section decides: accumulators, the softmax's output, pixels, logits.
std::optional<TensorKey> KeyOfTensor(const Sections& sections, const std::string& tensor);

}  // namespace qsim
