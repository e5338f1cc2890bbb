#include "sim/network/families/naming.h"

#include <cctype>

namespace qsim::network {
namespace {

// timm, and what has its names from there or gave them to it: DeiT, DINO, DINOv2 (with its blocks
// in chunks), MAE, BEiT, EVA.
constexpr NameRule kTimm[] = {
    {"patch_embed.proj.*", "patch_embed.proj.*"},
    {"cls_token", "cls_token"},
    {"dist_token", "dist_token"},
    {"reg_token", "reg_token"},
    {"register_tokens", "reg_token"},
    {"pos_embed", "pos_embed"},
    {"norm_pre.*", "norm_pre.*"},
    {"blocks.#.norm1.*", "blocks.#.norm1.*"},
    {"blocks.#.attn.qkv.*", "blocks.#.attn.qkv.*"},
    {"blocks.#.attn.q.*", "blocks.#.attn.q.*"},
    {"blocks.#.attn.k.*", "blocks.#.attn.k.*"},
    {"blocks.#.attn.v.*", "blocks.#.attn.v.*"},
    {"blocks.#.attn.q_proj.*", "blocks.#.attn.q.*"},
    {"blocks.#.attn.k_proj.*", "blocks.#.attn.k.*"},
    {"blocks.#.attn.v_proj.*", "blocks.#.attn.v.*"},
    {"blocks.#.attn.q_bias", "blocks.#.attn.q.bias"},
    {"blocks.#.attn.k_bias", "blocks.#.attn.k.bias"},
    {"blocks.#.attn.v_bias", "blocks.#.attn.v.bias"},
    {"blocks.#.attn.proj.*", "blocks.#.attn.proj.*"},
    {"blocks.#.ls1.gamma", "blocks.#.ls1.gamma"},
    {"blocks.#.gamma_1", "blocks.#.ls1.gamma"},
    {"blocks.#.norm2.*", "blocks.#.norm2.*"},
    {"blocks.#.mlp.fc1.*", "blocks.#.mlp.fc1.*"},
    {"blocks.#.mlp.fc2.*", "blocks.#.mlp.fc2.*"},
    {"blocks.#.ls2.gamma", "blocks.#.ls2.gamma"},
    {"blocks.#.gamma_2", "blocks.#.ls2.gamma"},
    {"norm.*", "norm.*"},
    {"fc_norm.*", "fc_norm.*"},
    {"head.*", "head.*"},
    {"head_dist.*", "head_dist.*"},
    {"blocks.%.#.norm1.*", "blocks.#.norm1.*"},
    {"blocks.%.#.attn.qkv.*", "blocks.#.attn.qkv.*"},
    {"blocks.%.#.attn.proj.*", "blocks.#.attn.proj.*"},
    {"blocks.%.#.ls1.gamma", "blocks.#.ls1.gamma"},
    {"blocks.%.#.norm2.*", "blocks.#.norm2.*"},
    {"blocks.%.#.mlp.fc1.*", "blocks.#.mlp.fc1.*"},
    {"blocks.%.#.mlp.fc2.*", "blocks.#.mlp.fc2.*"},
    {"blocks.%.#.ls2.gamma", "blocks.#.ls2.gamma"},
};

// transformers: ViT and DeiT (intermediate, output), Dinov2 (mlp, layer_scale) and CLIP's vision
// model (class_embedding, self_attn).
constexpr NameRule kHuggingFace[] = {
    {"embeddings.patch_embeddings.projection.*", "patch_embed.proj.*"},
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.distillation_token", "dist_token"},
    {"embeddings.register_tokens", "reg_token"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"encoder.layer.#.layernorm_before.*", "blocks.#.norm1.*"},
    {"encoder.layer.#.norm1.*", "blocks.#.norm1.*"},
    {"encoder.layer.#.attention.attention.query.*", "blocks.#.attn.q.*"},
    {"encoder.layer.#.attention.attention.key.*", "blocks.#.attn.k.*"},
    {"encoder.layer.#.attention.attention.value.*", "blocks.#.attn.v.*"},
    {"encoder.layer.#.attention.output.dense.*", "blocks.#.attn.proj.*"},
    {"encoder.layer.#.layer_scale1.lambda1", "blocks.#.ls1.gamma"},
    {"encoder.layer.#.layernorm_after.*", "blocks.#.norm2.*"},
    {"encoder.layer.#.norm2.*", "blocks.#.norm2.*"},
    {"encoder.layer.#.intermediate.dense.*", "blocks.#.mlp.fc1.*"},
    {"encoder.layer.#.output.dense.*", "blocks.#.mlp.fc2.*"},
    {"encoder.layer.#.mlp.fc1.*", "blocks.#.mlp.fc1.*"},
    {"encoder.layer.#.mlp.fc2.*", "blocks.#.mlp.fc2.*"},
    {"encoder.layer.#.layer_scale2.lambda1", "blocks.#.ls2.gamma"},
    {"layernorm.*", "norm.*"},
    {"embeddings.class_embedding", "cls_token"},
    {"embeddings.patch_embedding.*", "patch_embed.proj.*"},
    {"embeddings.position_embedding.weight", "pos_embed"},
    {"pre_layrnorm.*", "norm_pre.*"},
    {"encoder.layers.#.layer_norm1.*", "blocks.#.norm1.*"},
    {"encoder.layers.#.self_attn.q_proj.*", "blocks.#.attn.q.*"},
    {"encoder.layers.#.self_attn.k_proj.*", "blocks.#.attn.k.*"},
    {"encoder.layers.#.self_attn.v_proj.*", "blocks.#.attn.v.*"},
    {"encoder.layers.#.self_attn.out_proj.*", "blocks.#.attn.proj.*"},
    {"encoder.layers.#.layer_norm2.*", "blocks.#.norm2.*"},
    {"encoder.layers.#.mlp.fc1.*", "blocks.#.mlp.fc1.*"},
    {"encoder.layers.#.mlp.fc2.*", "blocks.#.mlp.fc2.*"},
    {"post_layernorm.*", "norm.*"},
    {"classifier.*", "head.*"},
    {"cls_classifier.*", "head.*"},
    {"distillation_classifier.*", "head_dist.*"},
};
constexpr std::string_view kHuggingFaceBodies[] = {
    "vit.",   "deit.",  "vision_model.", "dinov2.", "dinov2_with_registers.",
    "ijepa.", "model.", "backbone."};

constexpr NameRule kTorchvision[] = {
    {"conv_proj.*", "patch_embed.proj.*"},
    {"class_token", "cls_token"},
    {"encoder.pos_embedding", "pos_embed"},
    {"encoder.layers.encoder_layer_#.ln_1.*", "blocks.#.norm1.*"},
    {"encoder.layers.encoder_layer_#.self_attention.in_proj_weight", "blocks.#.attn.qkv.weight"},
    {"encoder.layers.encoder_layer_#.self_attention.in_proj_bias", "blocks.#.attn.qkv.bias"},
    {"encoder.layers.encoder_layer_#.self_attention.out_proj.*", "blocks.#.attn.proj.*"},
    {"encoder.layers.encoder_layer_#.ln_2.*", "blocks.#.norm2.*"},
    {"encoder.layers.encoder_layer_#.mlp.0.*", "blocks.#.mlp.fc1.*"},
    {"encoder.layers.encoder_layer_#.mlp.3.*", "blocks.#.mlp.fc2.*"},
    {"encoder.layers.encoder_layer_#.mlp.linear_1.*", "blocks.#.mlp.fc1.*"},
    {"encoder.layers.encoder_layer_#.mlp.linear_2.*", "blocks.#.mlp.fc2.*"},
    {"encoder.ln.*", "norm.*"},
    {"heads.head.*", "head.*"},
};

constexpr NamingScheme kSchemes[] = {
    {"timm", kTimm},
    {"Hugging Face", kHuggingFace, kHuggingFaceBodies},
    {"torchvision", kTorchvision},
};

std::string_view Digits(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0) ++end;
  return text.substr(0, end);
}

// What the pattern's marks stand for in a name that it fits.
struct Marks {
  std::string_view number, rest;
};
std::optional<Marks> Fit(std::string_view pattern, std::string_view name) {
  Marks marks;
  while (!pattern.empty()) {
    const char mark = pattern.front();
    if (mark == '*') {
      if (name != "weight" && name != "bias") return std::nullopt;
      marks.rest = name;
      return marks;
    }
    std::string_view taken = name.substr(0, 1);
    if (mark == '#' || mark == '%') {
      taken = Digits(name);
      if (mark == '#') marks.number = taken;
    } else if (taken != pattern.substr(0, 1)) {
      return std::nullopt;
    }
    if (taken.empty()) return std::nullopt;
    pattern.remove_prefix(1);
    name.remove_prefix(taken.size());
  }
  return name.empty() ? std::optional(marks) : std::nullopt;
}

std::string Filled(std::string_view pattern, const Marks& marks) {
  std::string name;
  for (const char c : pattern) {
    if (c == '#') {
      name += marks.number;
    } else if (c == '*') {
      name += marks.rest;
    } else {
      name += c;
    }
  }
  return name;
}

std::optional<std::string> Translated(std::string_view from, std::string_view to,
                                      std::string_view name) {
  const auto marks = Fit(from, name);
  return marks ? std::optional(Filled(to, *marks)) : std::nullopt;
}

}  // namespace

const NameRule* NamingScheme::RuleOf(std::string_view theirs) const {
  for (const NameRule& rule : rules) {
    if (Fit(rule.theirs, theirs)) return &rule;
  }
  return nullptr;
}

std::optional<std::string> Ours(const NameRule& rule, std::string_view theirs) {
  return Translated(rule.theirs, rule.ours, theirs);
}

std::optional<std::string> Theirs(const NameRule& rule, std::string_view ours) {
  return Translated(rule.ours, rule.theirs, ours);
}

std::span<const NamingScheme> NamingSchemes() { return kSchemes; }

}  // namespace qsim::network
