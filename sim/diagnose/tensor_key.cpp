#include "sim/diagnose/tensor_key.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <string_view>

namespace qsim {

std::optional<TensorKey> KeyOfTensor(const std::string& tensor) {
  static const std::map<std::string_view, TensorRole> kRoles = {
      {"norm1", TensorRole::kNorm1},
      {"attn_qkv.quant", TensorRole::kAttnQkvOutput},
      {"attn_q_out", TensorRole::kAttnQOut},
      {"attn_k_out", TensorRole::kAttnKOut},
      {"attn_v_input", TensorRole::kAttnVInput},
      {"attn_kv_out", TensorRole::kAttnKvOut},
      {"attn_v_out", TensorRole::kAttnVOut},
      {"attn_proj.quant", TensorRole::kAttnProjOutput},
      {"residual1", TensorRole::kResidual1},
      {"norm2", TensorRole::kNorm2},
      {"mlp_fc1.quant", TensorRole::kMlpFc1Output},
      {"mlp_gelu", TensorRole::kMlpGelu},
      {"mlp_fc2.quant", TensorRole::kMlpFc2Output},
      {"residual2", TensorRole::kResidual2},
  };
  if (tensor == "embed") return TensorKey{TensorRole::kEmbed, -1, "embed"};
  if (tensor == "norm") return TensorKey{TensorRole::kNorm, -1, "norm"};
  constexpr std::string_view kBlocks = "blocks.";
  if (!tensor.starts_with(kBlocks)) return std::nullopt;
  const std::string_view rest = std::string_view(tensor).substr(kBlocks.size());
  int block = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), block);
  if (error != std::errc() || block < 0 || end == rest.data() + rest.size() || *end != '.')
    return std::nullopt;
  const std::string_view name = rest.substr(static_cast<std::size_t>(end - rest.data()) + 1);
  // The stream that enters a block is its predecessor's.
  if (name == "input") {
    if (block == 0) return TensorKey{TensorRole::kEmbed, -1, "embed"};
    return TensorKey{TensorRole::kResidual2, block - 1,
                     fmt::format("blocks.{}.residual2", block - 1)};
  }
  const auto role = kRoles.find(name);
  if (role == kRoles.end()) return std::nullopt;
  return TensorKey{role->second, block, fmt::format("blocks.{}.{}", block, Name(role->second))};
}

}  // namespace qsim
