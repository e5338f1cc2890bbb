#include "sim/config/tensor_role.h"

#include "sim/error.h"

namespace qsim {
namespace {

enum class Place : std::uint8_t { kOutside, kInBlock };
enum class Part : std::uint8_t { kWhole, kWeight, kOutput };

struct RoleRow {
  TensorRole role;
  std::string_view name;
  Part part;
  Place place;
};

constexpr std::array<RoleRow, kTensorRoles> kRoles = {{
    {TensorRole::kPatchEmbedWeight, "patch_embed.weight", Part::kWeight, Place::kOutside},
    {TensorRole::kPatchEmbedOutput, "patch_embed.output", Part::kOutput, Place::kOutside},
    {TensorRole::kEmbed, "embed", Part::kWhole, Place::kOutside},
    {TensorRole::kNorm1, "norm1", Part::kWhole, Place::kInBlock},
    {TensorRole::kAttnQkvWeight, "attn_qkv.weight", Part::kWeight, Place::kInBlock},
    {TensorRole::kAttnQkvOutput, "attn_qkv.output", Part::kOutput, Place::kInBlock},
    {TensorRole::kAttnQOut, "attn_q_out", Part::kWhole, Place::kInBlock},
    {TensorRole::kAttnKOut, "attn_k_out", Part::kWhole, Place::kInBlock},
    {TensorRole::kAttnVInput, "attn_v_input", Part::kWhole, Place::kInBlock},
    {TensorRole::kAttnKvOut, "attn_kv_out", Part::kWhole, Place::kInBlock},
    {TensorRole::kIntSoft, "intSoft", Part::kWhole, Place::kInBlock},
    {TensorRole::kAttnVOut, "attn_v_out", Part::kWhole, Place::kInBlock},
    {TensorRole::kAttnProjWeight, "attn_proj.weight", Part::kWeight, Place::kInBlock},
    {TensorRole::kAttnProjOutput, "attn_proj.output", Part::kOutput, Place::kInBlock},
    {TensorRole::kResidual1, "residual1", Part::kWhole, Place::kInBlock},
    {TensorRole::kNorm2, "norm2", Part::kWhole, Place::kInBlock},
    {TensorRole::kMlpFc1Weight, "mlp_fc1.weight", Part::kWeight, Place::kInBlock},
    {TensorRole::kMlpFc1Output, "mlp_fc1.output", Part::kOutput, Place::kInBlock},
    {TensorRole::kMlpGelu, "mlp_gelu", Part::kWhole, Place::kInBlock},
    {TensorRole::kMlpFc2Weight, "mlp_fc2.weight", Part::kWeight, Place::kInBlock},
    {TensorRole::kMlpFc2Output, "mlp_fc2.output", Part::kOutput, Place::kInBlock},
    {TensorRole::kResidual2, "residual2", Part::kWhole, Place::kInBlock},
    {TensorRole::kNorm, "norm", Part::kWhole, Place::kOutside},
    {TensorRole::kHeadWeight, "head.weight", Part::kWeight, Place::kOutside},
    {TensorRole::kHeadOutput, "head.output", Part::kOutput, Place::kOutside},
}};

const RoleRow& RowOf(TensorRole role) {
  for (const RoleRow& row : kRoles) {
    if (row.role == role) return row;
  }
  throw InternalError("tensor role without a row in its table");
}

}  // namespace

std::array<TensorRole, kTensorRoles> AllTensorRoles() {
  std::array<TensorRole, kTensorRoles> roles{};
  for (std::size_t i = 0; i < kTensorRoles; ++i) roles[i] = kRoles[i].role;
  return roles;
}

std::string_view Name(TensorRole role) { return RowOf(role).name; }

std::optional<TensorRole> TensorRoleFromName(std::string_view name) {
  for (const RoleRow& row : kRoles) {
    if (row.name == name) return row.role;
  }
  return std::nullopt;
}

bool IsWeight(TensorRole role) { return RowOf(role).part == Part::kWeight; }
bool IsLinearOutput(TensorRole role) { return RowOf(role).part == Part::kOutput; }
bool IsResidualStream(TensorRole role) {
  return role == TensorRole::kEmbed || role == TensorRole::kResidual1 ||
         role == TensorRole::kResidual2;
}
bool IsPerBlock(TensorRole role) { return RowOf(role).place == Place::kInBlock; }

}  // namespace qsim
