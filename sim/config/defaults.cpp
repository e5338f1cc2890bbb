#include "sim/config/defaults.h"

namespace qsim::config {
namespace {

constexpr CalibrationMode kChannelWise = CalibrationMode::kChannelWise;
// The residual stream is wide because every block adds to it and nothing is ever scaled back.
constexpr int kStreamBits = 16;

}  // namespace

const Sections& VitSections() {
  static const Sections sections({
      {.key = "patch_embed.weight",
       .describes = Describes::kWeight,
       .is_per_block = false,
       .scope = Scope::kModel,
       .granularity = kChannelWise},
      {.key = "patch_embed.output",
       .describes = Describes::kLinearOutput,
       .is_per_block = false,
       .scope = Scope::kModel,
       .tensor = "patch_embed.quant"},
      {.key = "embed",
       .is_per_block = false,
       .scope = Scope::kModel,
       .tensor = "embed",
       .bits = kStreamBits,
       .is_stream = true,
       .enters_block = true},
      {.key = "norm1", .describes = Describes::kNorm, .tensor = "norm1"},
      {.key = "attn_qkv.weight", .describes = Describes::kWeight, .granularity = kChannelWise},
      {.key = "attn_qkv.output", .describes = Describes::kLinearOutput, .tensor = "attn_qkv.quant"},
      {.key = "attn_q_out", .tensor = "attn_q_out"},
      {.key = "attn_k_out", .tensor = "attn_k_out"},
      {.key = "attn_v_input", .tensor = "attn_v_input"},
      {.key = "attn_kv_out", .tensor = "attn_kv_out"},
      {.key = "intSoft", .describes = Describes::kSoftmax, .is_signed = false},
      {.key = "attn_v_out", .tensor = "attn_v_out"},
      {.key = "attn_proj.weight", .describes = Describes::kWeight, .granularity = kChannelWise},
      {.key = "attn_proj.output",
       .describes = Describes::kLinearOutput,
       .tensor = "attn_proj.quant"},
      {.key = "residual1", .tensor = "residual1", .bits = kStreamBits, .is_stream = true},
      {.key = "norm2", .describes = Describes::kNorm, .scope = Scope::kBlock, .tensor = "norm2"},
      {.key = "mlp_fc1.weight",
       .describes = Describes::kWeight,
       .scope = Scope::kBlock,
       .granularity = kChannelWise},
      {.key = "mlp_fc1.output",
       .describes = Describes::kLinearOutput,
       .scope = Scope::kBlock,
       .tensor = "mlp_fc1.quant"},
      {.key = "mlp_gelu", .scope = Scope::kBlock, .tensor = "mlp_gelu"},
      {.key = "mlp_fc2.weight",
       .describes = Describes::kWeight,
       .scope = Scope::kBlock,
       .granularity = kChannelWise},
      {.key = "mlp_fc2.output",
       .describes = Describes::kLinearOutput,
       .scope = Scope::kBlock,
       .tensor = "mlp_fc2.quant"},
      {.key = "residual2",
       .scope = Scope::kBlock,
       .tensor = "residual2",
       .bits = kStreamBits,
       .is_stream = true,
       .enters_block = true},
      {.key = "norm",
       .describes = Describes::kNorm,
       .is_per_block = false,
       .scope = Scope::kModel,
       .tensor = "norm"},
      {.key = "head.weight",
       .describes = Describes::kWeight,
       .is_per_block = false,
       .scope = Scope::kModel,
       .granularity = kChannelWise},
      {.key = "head.output",
       .describes = Describes::kLinearOutput,
       .is_per_block = false,
       .scope = Scope::kModel},
  });
  return sections;
}

}  // namespace qsim::config
