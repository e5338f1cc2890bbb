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
    {"norm_pre.", "a norm before the first block"},
    {"pre_layrnorm.", "a norm before the first block"},
    {"patch_embed.norm.", "a norm before the first block"},
    {"patch_embed.backbone.", "a convolutional network before the patches"},
    {"attn_pool.", "attention pooling before the head"},
    {"pre_logits.", "a layer between the final norm and the head"},
    {"relative_position_bias", "relative position biases"},
    {"rel_pos", "relative position biases"},
    {"rope", "rotary positions"},
    {"lora_", "adapters (LoRA), which their library can merge into the weights,"},
};

// The same of what lies behind the features, by our names.
constexpr std::pair<std::string_view, std::string_view> kHeadVariants[] = {
    {"head_dist.weight", "a second head, on the distillation token, averaged with the first,"},
    {"fc_norm.weight", "a head that reads the mean of the patches, not the class token,"},
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
// In front of the patches, in this order, where the file has them.
constexpr std::string_view kFrontTensors[] = {"cls_token", "dist_token", "reg_token"};
constexpr std::string_view kNormTensors[] = {"norm.weight", "norm.bias"};
constexpr std::string_view kHeadTensors[] = {"head.weight", "head.bias"};

[[noreturn]] void Fail(const Checkpoint& checkpoint, const std::string& what) {
  throw InputError(fmt::format("{}: {}", checkpoint.file().path().string(), what));
}

bool Among(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "tensor 'a'", "tensors 'a', 'b', 'c' and 9 more"
std::string Counted(const std::vector<std::string>& names) {
  return (names.size() == 1 ? "tensor " : "tensors ") + FirstOf(names);
}

bool IsOfHead(std::string_view ours) {
  return ours.starts_with("head.") || ours.starts_with("head_dist.") ||
         ours.starts_with("fc_norm.");
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
    for (const std::string_view front : kFrontTensors) {
      if (checkpoint.Has(front)) names.emplace(front);
    }
  }
  if (parts.norm || parts.head) names.insert(std::begin(kNormTensors), std::end(kNormTensors));
  if (parts.head) names.insert(std::begin(kHeadTensors), std::end(kHeadTensors));
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
std::optional<std::string_view> WhyUnread(std::string_view stored, std::string_view ours,
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

bool IsIgnored(const Manifest& manifest, std::string_view stored) {
  return std::any_of(manifest.ignore_tensors.begin(), manifest.ignore_tensors.end(),
                     [&](const IgnoredTensors& some) { return Matches(stored, some.pattern); });
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

// The first name that a pattern of ignore_tensors matches although it must not, or the pattern that
// matches none.
void CheckIgnored(const Checkpoint& checkpoint, const Manifest& manifest,
                  const std::set<std::string>& needed, const NetworkParts& parts) {
  for (const IgnoredTensors& some : manifest.ignore_tensors) {
    const auto fail = [&](const std::string& what) {
      throw InputError(
          fmt::format("{}:{}: key 'ignore_tensors': {}", manifest.path.string(), some.line, what));
    };
    bool matched = false;
    const auto check = [&](const std::string& stored, std::string_view ours) {
      if (!Matches(stored, some.pattern)) return;
      matched = true;
      if (WhyUnread(stored, ours, parts)) return;
      fail(fmt::format("'{}' matches '{}', {}", Printable(some.pattern), Printable(stored),
                       needed.contains(std::string(ours))
                           ? "with which the network computes"
                           : "which may change what the network computes: only what is known to do "
                             "nothing can be ignored"));
    };
    for (const auto& [ours, stored] : checkpoint.names()) check(stored, ours);
    for (const std::string& stored : checkpoint.unknown()) check(stored, stored);
    if (matched) continue;
    fail(fmt::format("'{}' matches no tensor of {}", Printable(some.pattern),
                     checkpoint.file().path().string()));
  }
}

}  // namespace

void RejectVariants(const Checkpoint& checkpoint, const Manifest& manifest) {
  std::map<std::string_view, std::vector<std::string>> found;
  for (const std::string& name : checkpoint.file().names()) {
    for (const auto& [part, what] : kVariants) {
      // An index does nothing by itself.
      if (name.find(part) == std::string::npos || name.ends_with("_index")) continue;
      found[what].push_back(name);
      break;
    }
  }
  const bool headless = HeadIsIgnored(checkpoint, manifest);
  for (const auto& [ours, what] : kHeadVariants) {
    if (checkpoint.Has(ours) && !headless) found[what].push_back(checkpoint.Stored(ours));
  }
  if (found.empty() && manifest.geometry.pool && checkpoint.Has("head.weight") && !headless) {
    throw InputError(
        fmt::format("{}: pooling '{}' before the head is not supported: it must read "
                    "the class token",
                    manifest.Origin("pool"), Printable(*manifest.geometry.pool)));
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
    parts.norm = parts.norm || Among(kNormTensors, ours);
    parts.head = parts.head || Among(kHeadTensors, ours);
  }
  if (parts.optional.contains("attn.qkv.bias")) {
    for (const char* apart : {"attn.q.bias", "attn.k.bias", "attn.v.bias"})
      parts.optional.erase(apart);
  }
  parts.head = parts.head && !HeadIsIgnored(checkpoint, manifest);
  parts.depth = manifest.geometry.depth.value_or(std::max<std::int64_t>(blocks, 1));
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
  if (parts.patches && parts.head && !checkpoint.Has("cls_token")) {
    Fail(checkpoint,
         fmt::format("no tensor '{}': without a class token the head reads the mean of the "
                     "patches, which is not supported",
                     checkpoint.Stored("cls_token")));
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
  const std::set<std::string> needed = Needed(checkpoint, parts);
  CheckIgnored(checkpoint, manifest, needed, parts);
  std::map<std::string_view, std::vector<std::string>> unread;
  std::vector<std::string> hidden;
  const auto take = [&](const std::string& stored, std::string_view ours) {
    checkpoint.file().CheckFinite(stored);
    if (const auto why = WhyUnread(stored, ours, parts)) {
      unread[*why].push_back(stored);
    } else {
      hidden.push_back(stored);
    }
  };
  for (const auto& [ours, stored] : checkpoint.names()) {
    if (!needed.contains(ours)) take(stored, ours);
  }
  for (const std::string& stored : checkpoint.unknown()) take(stored, stored);
  if (!hidden.empty()) {
    Fail(checkpoint,
         fmt::format("{}: no layer that a vision transformer is known to have; what it computes is "
                     "unknown, so it cannot be left out",
                     Counted(hidden)));
  }
  std::vector<std::string> lines;
  for (const auto& [why, names] : unread)
    lines.push_back(fmt::format("{} left out: {}", Counted(names), why));
  return lines;
}

}  // namespace qsim::network
