// The tensors that a configuration can have a section for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qsim {

enum class TensorRole : std::uint8_t {
  kPatchEmbedWeight,
  kPatchEmbedOutput,
  kEmbed,  // the residual stream's first tensor: patches and class token plus positions
  kNorm1,
  kAttnQkvWeight,
  kAttnQkvOutput,
  kAttnQOut,
  kAttnKOut,
  kAttnVInput,
  kAttnKvOut,  // the scores QK^T
  kIntSoft,    // the softmax output
  kAttnVOut,   // attention times V
  kAttnProjWeight,
  kAttnProjOutput,
  kResidual1,
  kNorm2,
  kMlpFc1Weight,
  kMlpFc1Output,
  kMlpGelu,
  kMlpFc2Weight,
  kMlpFc2Output,
  kResidual2,
  kNorm,  // the final one
  kHeadWeight,
  kHeadOutput,
};
inline constexpr std::size_t kTensorRoles = 25;

// All roles in the order above.
std::array<TensorRole, kTensorRoles> AllTensorRoles();

// "attn_qkv.weight", "attn_q_out", "intSoft", ...
std::string_view Name(TensorRole role);
std::optional<TensorRole> TensorRoleFromName(std::string_view name);

bool IsWeight(TensorRole role);
bool IsLinearOutput(TensorRole role);
// embed, residual1, residual2.
bool IsResidualStream(TensorRole role);
// Whether every block has such a tensor; the others exist once, outside the blocks.
bool IsPerBlock(TensorRole role);

}  // namespace qsim
