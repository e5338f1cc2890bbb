#include "sim/network/families/vit_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "sim/error.h"
#include "sim/network/families/left_out.h"
#include "sim/text/block_name.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"
#include "sim/text/text_util.h"

namespace qsim::network {
namespace {

// By a part of a tensor's name that only the variant has.
constexpr std::pair<std::string_view, std::string_view> kVariants[] = {
    {".q_norm.", "normalised queries and keys"},
    {".k_norm.", "normalised queries and keys"},
    {".attn.norm.", "a norm inside attention"},
    {".inner_attn_ln.", "a norm inside attention"},
    {".mlp.norm.", "a norm inside the MLP"},
    {".ffn_ln.", "a norm inside the MLP"},
    {".mlp.w1", "a gated MLP (SwiGLU)"},
    {".mlp.w2.", "a gated MLP (SwiGLU)"},
    {".mlp.w3.", "a gated MLP (SwiGLU)"},
    {".mlp.weights_in.", "a gated MLP (SwiGLU)"},
    {".mlp.weights_out.", "a gated MLP (SwiGLU)"},
    {".fc1_g.", "a gated MLP (SwiGLU)"},
    {".fc1_x.", "a gated MLP (SwiGLU)"},
    {".mlp.gate", "a gated MLP (SwiGLU)"},
    {"patch_embed.norm.", "a norm of the patches before their positions"},
    {"patch_embed.backbone.", "a convolutional network before the patches"},
    {"attn_pool.", "attention pooling before the head"},
    {"pre_logits.", "a layer between the final norm and the head"},
    {"relative_position_bias", "relative position biases"},
    {"rel_pos", "relative position biases"},
    {"rope", "rotary positions"},
    {"lora_", "adapters (LoRA), which their library can merge into the weights,"},
};

// By the last part of a name, or (with a dot at its end) by one in the middle: what no inference
// reads.
constexpr std::pair<std::string_view, std::string_view> kUnread[] = {
    {"mask_token", "stands for masked patches, in training alone"},
    {"position_ids", "an index"},
    {"relative_position_index", "an index"},
    {"num_batches_tracked", "a counter"},
    {"pooler.", "reads the features and feeds no head"},
};

constexpr std::string_view kBlockTensors[] = {
    "norm1.weight", "norm1.bias",     "attn.proj.weight", "attn.proj.bias", "norm2.weight",
    "norm2.bias",   "mlp.fc1.weight", "mlp.fc1.bias",     "mlp.fc2.weight", "mlp.fc2.bias"};
constexpr std::string_view kStacked = "attn.qkv.weight";
constexpr std::string_view kApart[] = {"attn.q.weight", "attn.k.weight", "attn.v.weight"};
// With one of them in any block, every block has it.
constexpr std::string_view kOptional[] = {"attn.qkv.bias", "attn.q.bias", "attn.k.bias",
                                          "attn.v.bias",   "ls1.gamma",   "ls2.gamma"};
constexpr std::string_view kPatchTensors[] = {"patch_embed.proj.weight", "patch_embed.proj.bias",
                                              "pos_embed"};
// A norm follows, and timm leaves it out there.
constexpr std::string_view kOptionalPatchTensor = "patch_embed.proj.bias";
// In front of the patches, in this order, where the file has them.
constexpr std::string_view kFrontTensors[] = {"cls_token", "dist_token", "reg_token"};
constexpr std::string_view kPairs[] = {"weight", "bias"};

void Add(std::string_view layer, std::set<std::string>& names) {
  for (const std::string_view of : kPairs) names.insert(fmt::format("{}.{}", layer, of));
}
bool HasAny(const Checkpoint& checkpoint, std::string_view layer) {
  return std::any_of(std::begin(kPairs), std::end(kPairs), [&](std::string_view of) {
    return checkpoint.Has(fmt::format("{}.{}", layer, of));
  });
}

[[noreturn]] void Fail(const Checkpoint& checkpoint, const std::string& what) {
  throw InputError(fmt::format("{}: {}", checkpoint.file().path().string(), what));
}

bool Among(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsOfHead(std::string_view ours) {
  return ours.starts_with("head.") || ours.starts_with("head_dist.");
}

bool IsSplit(const Checkpoint& checkpoint, const NetworkParts& parts) {
  for (std::int64_t n = 0; n < parts.depth; ++n) {
    if (checkpoint.Has(fmt::format("blocks.{}.{}", n, kStacked))) return false;
  }
  return std::any_of(checkpoint.names().begin(), checkpoint.names().end(),
                     [](const auto& name) { return Among(kApart, SplitBlock(name.first).rest); });
}

std::vector<std::string_view> NeededInBlock(const Checkpoint& checkpoint,
                                            const NetworkParts& parts) {
  std::vector<std::string_view> names(std::begin(kBlockTensors), std::end(kBlockTensors));
  if (IsSplit(checkpoint, parts)) {
    names.insert(names.end(), std::begin(kApart), std::end(kApart));
  } else {
    names.push_back(kStacked);
  }
  names.insert(names.end(), parts.optional.begin(), parts.optional.end());
  return names;
}

std::set<std::string> Needed(const Checkpoint& checkpoint, const NetworkParts& parts) {
  std::set<std::string> names;
  const std::vector<std::string_view> in_block = NeededInBlock(checkpoint, parts);
  for (std::int64_t n = 0; n < parts.depth; ++n) {
    for (const std::string_view tensor : in_block)
      names.insert(fmt::format("blocks.{}.{}", n, tensor));
  }
  if (parts.patches) {
    names.insert(std::begin(kPatchTensors), std::end(kPatchTensors));
    if (parts.norm_pre && !checkpoint.Has(kOptionalPatchTensor))
      names.erase(std::string(kOptionalPatchTensor));
    for (const std::string_view front : kFrontTensors) {
      if (checkpoint.Has(front)) names.emplace(front);
    }
  }
  if (parts.norm_pre) Add("norm_pre", names);
  if (parts.norm || parts.head) Add(parts.norm_name, names);
  if (parts.head) Add("head", names);
  if (parts.head_dist) {
    Add("head_dist", names);
    if (parts.patches) names.insert({"cls_token", "dist_token"});
  }
  return names;
}

// What the stored names of a block's tensors begin with: "blocks.4."
std::string BlockOf(const Checkpoint& checkpoint, std::int64_t block) {
  const std::string first = checkpoint.Stored(fmt::format("blocks.{}.norm1.weight", block));
  const std::string last = checkpoint.Stored(fmt::format("blocks.{}.mlp.fc2.weight", block));
  const auto end = std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first;
  return {first.begin(), end};
}

// Why a tensor of this name does nothing in a network of these parts; nothing where that is not
// known.
std::optional<std::string_view> UnreadFor(std::string_view stored, std::string_view ours,
                                          const NetworkParts& parts) {
  for (const auto& [part, why] : kUnread) {
    const bool inside = part.ends_with('.');
    const std::size_t at = inside ? stored.find(part) : stored.rfind(part);
    if (at == std::string_view::npos || (at > 0 && stored[at - 1] != '.')) continue;
    if (inside || at + part.size() == stored.size()) return why;
  }
  if (!parts.patches && (Among(kPatchTensors, ours) || Among(kFrontTensors, ours)))
    return "lies before the token embeddings that enter";
  if (!parts.head && IsOfHead(ours))
    return "the head, left out by ignore_tensors: the network ends in its features";
  return std::nullopt;
}

// Whether ignore_tensors takes away everything behind the features: a part alone is another
// network.
bool HeadIsIgnored(const Checkpoint& checkpoint, const Manifest& manifest) {
  bool any = false;
  for (const auto& [ours, stored] : checkpoint.names()) {
    if (!IsOfHead(ours)) continue;
    if (!IsIgnored(manifest, stored)) return false;
    any = true;
  }
  return any;
}

// What the head reads, or would read. Nothing says it where the file has a final norm and a class
// token: then the token.
bool IsPooled(const Checkpoint& checkpoint, const Manifest& manifest, const NetworkParts& parts) {
  const bool mean_norm = parts.norm_name == "fc_norm";
  if (!parts.head && !mean_norm) return false;
  const std::optional<std::string>& stated = manifest.geometry.pool;
  const bool no_token = parts.patches && !checkpoint.Has("cls_token");
  const bool pooled = stated ? *stated == "avg" : mean_norm || no_token;
  if (stated && !pooled && *stated != "token") {
    throw InputError(
        fmt::format("{}: pooling '{}' before the head is not supported; avg (the mean of the "
                    "patches) and token are",
                    manifest.Origin("pool"), Printable(*stated)));
  }
  if (!pooled && no_token) {
    throw InputError(fmt::format("{}: pool is token, but {} has no tensor '{}'",
                                 manifest.Origin("pool"), checkpoint.file().path().string(),
                                 checkpoint.Stored("cls_token")));
  }
  if (pooled && parts.head_dist) {
    Fail(checkpoint, fmt::format("tensor '{}': a head on the distillation token beside one on the "
                                 "mean of the patches is not supported",
                                 checkpoint.Stored("head_dist.weight")));
  }
  return pooled;
}

}  // namespace

void RejectVariants(const Checkpoint& checkpoint) {
  std::map<std::string_view, std::vector<std::string>> found;
  for (const std::string& name : checkpoint.file().names()) {
    for (const auto& [part, what] : kVariants) {
      // An index does nothing by itself.
      if (name.find(part) == std::string::npos || name.ends_with("_index")) continue;
      found[what].push_back(name);
      break;
    }
  }
  if (HasAny(checkpoint, "norm") && HasAny(checkpoint, "fc_norm")) {
    found["a second norm behind the last block"].push_back(checkpoint.Stored("fc_norm.weight"));
  }
  if (found.empty()) return;
  const auto& [what, names] = *found.begin();
  std::string text = fmt::format("{}: {} is not supported", Counted(names), what);
  if (found.size() > 1) {
    std::vector<std::string> others;
    for (auto other = std::next(found.begin()); other != found.end(); ++other)
      others.push_back(other->second.front());
    text += "; nor is what is in " + FirstOf(others);
  }
  Fail(checkpoint, text);
}

NetworkParts PartsOf(const Checkpoint& checkpoint, const Manifest& manifest, bool patches) {
  NetworkParts parts;
  parts.patches = patches;
  std::int64_t blocks = 0;
  std::string last;
  for (const auto& [ours, stored] : checkpoint.names()) {
    const BlockName of = SplitBlock(ours);
    if (of.number >= blocks) {
      blocks = of.number + 1;
      last = stored;
    }
    if (Among(kOptional, of.rest)) parts.optional.insert(of.rest);
  }
  parts.norm_pre = HasAny(checkpoint, "norm_pre");
  parts.norm = HasAny(checkpoint, "norm");
  if (!parts.norm && HasAny(checkpoint, "fc_norm")) {
    parts.norm = true;
    parts.norm_name = "fc_norm";
  }
  if (parts.optional.contains("attn.qkv.bias")) {
    for (const char* apart : {"attn.q.bias", "attn.k.bias", "attn.v.bias"})
      parts.optional.erase(apart);
  }
  const bool headless = HeadIsIgnored(checkpoint, manifest);
  parts.head_dist = HasAny(checkpoint, "head_dist") && !headless;
  parts.head = (HasAny(checkpoint, "head") && !headless) || parts.head_dist;
  parts.pooled = IsPooled(checkpoint, manifest, parts);
  parts.depth = manifest.geometry.depth.value_or(std::max<std::int64_t>(blocks, 1));
  if (blocks > kMostLayers) {
    Fail(checkpoint, fmt::format("tensor '{}': blocks have numbers up to {}", Printable(last),
                                 kMostLayers - 1));
  }
  if (blocks > parts.depth) {
    Fail(checkpoint, fmt::format("holds tensor '{}', but {} says depth {}: blocks 0..{}", last,
                                 manifest.Origin("depth"), parts.depth, parts.depth - 1));
  }
  return parts;
}

void RequireTensors(const Checkpoint& checkpoint, const Manifest& manifest,
                    const NetworkParts& parts) {
  const std::set<std::string> needed = Needed(checkpoint, parts);
  std::vector<std::string> missing;
  std::map<std::int64_t, std::size_t> per_block;
  for (const std::string& ours : needed) {
    if (checkpoint.Has(ours)) continue;
    missing.push_back(ours);
    ++per_block[SplitBlock(ours).number];
  }
  if (missing.empty()) return;
  std::vector<std::string> unused = checkpoint.unknown();
  for (const auto& [ours, stored] : checkpoint.names()) {
    if (!needed.contains(ours)) unused.push_back(stored);
  }
  // A whole block, or by name.
  bool whole_block = false;
  const std::size_t whole = NeededInBlock(checkpoint, parts).size();
  std::vector<std::string> names;
  std::string hint;
  for (const std::string& ours : missing) {
    const std::int64_t block = SplitBlock(ours).number;
    if (block >= 0 && per_block[block] == whole) {
      const std::string all = BlockOf(checkpoint, block) + "*";
      if (names.empty() || names.back() != all) names.push_back(all);
      whole_block = true;
      continue;
    }
    names.push_back(checkpoint.Stored(ours));
    const auto nearest = NearestWord(names.back(), unused);
    if (!nearest || !hint.empty()) continue;
    hint = missing.size() == 1
               ? fmt::format("; the nearest name is '{}'", Printable(*nearest))
               : fmt::format("; the nearest to '{}' is '{}'", names.back(), Printable(*nearest));
  }
  if (whole_block && manifest.geometry.depth) {
    hint += fmt::format("; {} says depth {}", manifest.Origin("depth"), parts.depth);
  }
  Fail(checkpoint, fmt::format("no {}{}", Counted(names), hint));
}

std::vector<std::string> LeftOut(const Checkpoint& checkpoint, const Manifest& manifest,
                                 const NetworkParts& parts) {
  return LeftOut(
      checkpoint, manifest, Needed(checkpoint, parts),
      [&](std::string_view stored, std::string_view ours) {
        return UnreadFor(stored, ours, parts);
      },
      "a vision transformer");
}

}  // namespace qsim::network
