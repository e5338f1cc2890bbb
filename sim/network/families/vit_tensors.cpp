#include "sim/network/families/vit_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/error.h"
#include "sim/text/block_name.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace qsim::network {
namespace {

// By a part of a tensor's name that only the variant has.
constexpr std::pair<std::string_view, std::string_view> kVariants[] = {
    {".ls1.", "layer scale is not supported; fold it into the linear layer before it"},
    {".ls2.", "layer scale is not supported; fold it into the linear layer before it"},
    {"dist_token", "distilled models, with a second token and head, are not supported"},
    {"head_dist.", "distilled models, with a second token and head, are not supported"},
    {"reg_token", "register tokens are not supported; tokens are the class token and the patches"},
    {".q_norm.", "normalised queries and keys are not supported"},
    {".k_norm.", "normalised queries and keys are not supported"},
    {"norm_pre.", "a norm before the first block is not supported"},
    {"fc_norm.",
     "average pooling is not supported; the head must read the class token behind 'norm'"},
    {"attn_pool.", "attention pooling is not supported; the head must read the class token"},
    {"pre_logits.", "a layer between the final norm and the head is not supported"},
    {"relative_position_bias", "relative position biases are not supported"},
};

constexpr std::string_view kQkvBias = "attn.qkv.bias";
constexpr std::string_view kBlockTensors[] = {"norm1.weight", "norm1.bias",       "attn.qkv.weight",
                                              kQkvBias,       "attn.proj.weight", "attn.proj.bias",
                                              "norm2.weight", "norm2.bias",       "mlp.fc1.weight",
                                              "mlp.fc1.bias", "mlp.fc2.weight",   "mlp.fc2.bias"};
constexpr std::string_view kPatchTensors[] = {"patch_embed.proj.weight", "patch_embed.proj.bias",
                                              "cls_token", "pos_embed"};
constexpr std::string_view kHeadTensors[] = {"norm.weight", "norm.bias", "head.weight",
                                             "head.bias"};

[[noreturn]] void Fail(const Safetensors& file, const std::string& what) {
  throw InputError(fmt::format("{}: {}", file.path().string(), what));
}

// "'a', 'b'"
std::string Quoted(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += fmt::format("{}'{}'", text.empty() ? "" : ", ", Printable(name));
  }
  return text;
}

std::string Counted(const std::vector<std::string>& names) {
  return (names.size() == 1 ? "tensor " : "tensors ") + Quoted(names);
}

bool IsBlockTensor(std::string_view rest) {
  return std::find(std::begin(kBlockTensors), std::end(kBlockTensors), rest) !=
         std::end(kBlockTensors);
}

std::set<std::string> Needed(const NetworkParts& parts) {
  std::set<std::string> names;
  for (std::int64_t n = 0; n < parts.depth; ++n) {
    for (const std::string_view tensor : kBlockTensors) {
      if (parts.qkv_bias || tensor != kQkvBias)
        names.insert(fmt::format("blocks.{}.{}", n, tensor));
    }
  }
  if (parts.patches) names.insert(std::begin(kPatchTensors), std::end(kPatchTensors));
  if (parts.head) names.insert(std::begin(kHeadTensors), std::end(kHeadTensors));
  return names;
}

// Lies before the token embeddings or behind the last block, where there is nothing to compute.
bool IsHarmless(const std::string& name, const NetworkParts& parts) {
  const auto is = [&](std::string_view known) { return name == known; };
  return (!parts.patches && std::any_of(std::begin(kPatchTensors), std::end(kPatchTensors), is)) ||
         (!parts.head && std::any_of(std::begin(kHeadTensors), std::end(kHeadTensors), is));
}

// `pattern` may have * for any text and ? for any character.
bool Matches(std::string_view name, std::string_view pattern) {
  std::size_t n = 0;
  std::size_t p = 0;
  // The last * and the end of what it stands for so far: a mismatch behind it makes it longer.
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++n;
      ++p;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace

void RejectVariants(const Safetensors& file) {
  std::map<std::string_view, std::vector<std::string>> found;
  for (const std::string& name : file.names()) {
    for (const auto& [part, what] : kVariants) {
      if (name.find(part) == std::string::npos) continue;
      found[what].push_back(name);
      break;
    }
  }
  std::string text;
  for (const auto& [what, names] : found) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", Counted(names), what);
  }
  if (!text.empty()) Fail(file, text);
}

NetworkParts PartsOf(const Safetensors& file, const Manifest& manifest, bool patches) {
  NetworkParts parts;
  parts.patches = patches;
  std::int64_t blocks = 0;
  std::string last;
  for (const std::string& name : file.names()) {
    const BlockName of = SplitBlock(name);
    if (IsBlockTensor(of.rest) && of.number >= blocks) {
      blocks = of.number + 1;
      last = name;
    }
    parts.qkv_bias = parts.qkv_bias || (of.number >= 0 && of.rest == kQkvBias);
    parts.head = parts.head || name == "head.weight" || name == "head.bias";
  }
  parts.depth = manifest.geometry.depth.value_or(std::max<std::int64_t>(blocks, 1));
  if (blocks > parts.depth) {
    Fail(file, fmt::format("holds tensor '{}', but {} says depth {}: blocks 0..{}", last,
                           manifest.path.string(), parts.depth, parts.depth - 1));
  }
  return parts;
}

void RequireTensors(const Safetensors& file, const Manifest& manifest, const NetworkParts& parts) {
  const std::set<std::string> needed = Needed(parts);
  std::vector<std::string> missing;
  std::map<std::int64_t, std::size_t> per_block;
  for (const std::string& name : needed) {
    if (file.Has(name)) continue;
    missing.push_back(name);
    ++per_block[SplitBlock(name).number];
  }
  if (missing.empty()) return;
  if (parts.patches && !file.Has("cls_token") && missing.size() == 1) {
    Fail(file, "no tensor 'cls_token': models without a class token are not supported");
  }
  std::vector<std::string> unused;
  for (const std::string& name : file.names()) {
    if (!needed.contains(name)) unused.push_back(name);
  }
  // A whole block, or by name.
  bool whole_block = false;
  const std::size_t whole = std::size(kBlockTensors) - (parts.qkv_bias ? 0 : 1);
  std::vector<std::string> names;
  for (const std::string& name : missing) {
    const std::int64_t block = SplitBlock(name).number;
    const std::string all = fmt::format("blocks.{}.*", block);
    if (block < 0 || per_block[block] < whole) {
      names.push_back(name);
    } else if (std::find(names.begin(), names.end(), all) == names.end()) {
      names.push_back(all);
      whole_block = true;
    }
  }
  std::string hint;
  for (const std::string& name : missing) {
    const auto nearest = NearestWord(name, unused);
    if (!nearest) continue;
    hint += missing.size() == 1
                ? fmt::format("; the nearest name is '{}'", Printable(*nearest))
                : fmt::format("; the nearest to '{}' is '{}'", name, Printable(*nearest));
  }
  if (whole_block && manifest.geometry.depth) {
    hint += fmt::format("; {} says depth {}", manifest.path.string(), parts.depth);
  }
  Fail(file, fmt::format("no {}{}", Counted(names), hint));
}

void RejectUnusedTensors(const Safetensors& file, const Manifest& manifest,
                         const NetworkParts& parts) {
  const std::set<std::string> needed = Needed(parts);
  std::vector<bool> matched(manifest.ignore_tensors.size(), false);
  std::vector<std::string> hidden;
  bool in_block = false;
  for (const std::string& name : file.names()) {
    if (needed.contains(name)) continue;
    file.CheckFinite(name);
    bool ignored = IsHarmless(name, parts);
    for (std::size_t i = 0; i < matched.size(); ++i) {
      if (!Matches(name, manifest.ignore_tensors[i].pattern)) continue;
      matched[i] = true;
      ignored = true;
    }
    if (ignored) continue;
    hidden.push_back(name);
    in_block = in_block || name.starts_with("blocks.");
  }
  if (!hidden.empty()) {
    Fail(file,
         fmt::format("{}: no layer of the model uses {}{}; what is not used is not calibrated. "
                     "Where that is right, list {} under ignore_tensors in {}",
                     Counted(hidden), hidden.size() == 1 ? "it" : "them",
                     in_block ? " (no part of a block that is supported: norm1, attn.qkv, "
                                "attn.proj, norm2, mlp.fc1, mlp.fc2)"
                              : "",
                     hidden.size() == 1 ? "it" : "them", manifest.path.string()));
  }
  for (std::size_t i = 0; i < matched.size(); ++i) {
    if (matched[i]) continue;
    throw InputError(fmt::format("{}:{}: key 'ignore_tensors': '{}' matches no unused tensor of {}",
                                 manifest.path.string(), manifest.ignore_tensors[i].line,
                                 Printable(manifest.ignore_tensors[i].pattern),
                                 file.path().string()));
  }
}

}  // namespace qsim::network
