#include "sim/calibrate/plan/scope_coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "sim/error.h"

namespace qsim {
namespace {

std::string FullName(const OwnSection& section) {
  if (section.block < 0) return std::string(Name(section.role));
  return fmt::format("blocks.{}.{}", section.block, Name(section.role));
}

std::string Described(const OwnSection& section) {
  return fmt::format("{} ({})", FullName(section), section.origin);
}

// "mlp_fc1" of "mlp_fc1.weight": a layer and its weights come together.
std::string_view LayerOf(TensorRole role) {
  const std::string_view name = Name(role);
  return name.substr(0, name.find('.'));
}

// The N of "blocks.N.tensor", or -1, and the tensor.
std::pair<int, std::string_view> Split(std::string_view tap) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!tap.starts_with(kBlocks)) return {-1, tap};
  int block = -1;
  const char* const end = tap.data() + tap.size();
  const char* const dot = std::from_chars(tap.data() + kBlocks.size(), end, block).ptr;
  return {block, std::string_view(dot + 1, static_cast<std::size_t>(end - dot - 1))};
}

// The layers of every block of a program; those outside the blocks under -1.
std::map<int, std::set<std::string_view>> LayersOf(const Program& program) {
  std::map<int, std::set<std::string_view>> layers;
  for (const TensorInfo& info : program.tensors) {
    const auto [block, tensor] = Split(info.name);
    layers[block].insert(tensor);
  }
  return layers;
}

// The stream that enters a block has the section of the tensor it comes from.
bool ShapesInputs(TensorRole role) {
  return role == TensorRole::kEmbed || role == TensorRole::kResidual2;
}

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

Scope ScopeOf(TensorRole role) {
  if (!IsPerBlock(role)) return Scope::kModel;
  switch (role) {
    case TensorRole::kNorm2:
    case TensorRole::kMlpFc1Weight:
    case TensorRole::kMlpFc1Output:
    case TensorRole::kMlpGelu:
    case TensorRole::kMlpFc2Weight:
    case TensorRole::kMlpFc2Output:
    case TensorRole::kResidual2:
      return Scope::kBlock;
    default:
      return Scope::kAttention;
  }
}

Scope SmallestScope(const Config& config, bool has_head) {
  Scope scope = Scope::kAttention;
  if (config.W8a8Family()) scope = has_head ? Scope::kModel : Scope::kBlock;
  for (const OwnSection& section : config.OwnSections()) {
    scope = std::max(scope, ScopeOf(section.role));
  }
  return scope;
}

void RequireCovered(const Config& config, Scope scope, bool some_blocks) {
  std::vector<std::string> hidden;
  Scope needed = scope;
  for (const OwnSection& section : config.OwnSections()) {
    if (ScopeOf(section.role) <= scope || ShapesInputs(section.role)) continue;
    if (some_blocks && !IsPerBlock(section.role)) continue;
    needed = std::max(needed, ScopeOf(section.role));
    hidden.push_back(Described(section));
  }
  if (hidden.empty()) return;
  throw InputError(fmt::format(
      "--scope {} leaves out layers that have a section of their own: {}; use --scope {}, or leave "
      "--scope or those sections out",
      Name(scope), Joined(hidden), Name(needed)));
}

std::vector<std::string> SectionsWithoutTensor(const Config& config, const Program& program) {
  const auto layers = LayersOf(program);
  std::vector<std::string> without;
  for (const OwnSection& section : config.OwnSections()) {
    if (ShapesInputs(section.role)) continue;
    const bool has = std::any_of(layers.begin(), layers.end(), [&](const auto& block) {
      const bool here = section.block < 0 ? (block.first >= 0) == IsPerBlock(section.role)
                                          : block.first == section.block;
      return here && block.second.contains(LayerOf(section.role));
    });
    if (!has) without.push_back(Described(section));
  }
  return without;
}

void RequireScope(const Program& program, Scope scope, const std::string& source) {
  const auto layers = LayersOf(program);
  std::map<std::string, std::vector<std::string>> blocks_without;  // layers -> blocks
  std::vector<std::string> outside;
  const auto collect = [&](int block, std::vector<std::string>& missing) {
    const auto found = layers.find(block);
    for (const TensorRole role : AllTensorRoles()) {
      const std::string_view layer = LayerOf(role);
      if (IsPerBlock(role) != (block >= 0) || ScopeOf(role) > scope) continue;
      if (found != layers.end() && found->second.contains(layer)) continue;
      if (missing.empty() || missing.back() != layer) missing.emplace_back(layer);
    }
  };
  for (const auto& [block, tensors] : layers) {
    if (block < 0) continue;
    std::vector<std::string> missing;
    collect(block, missing);
    if (!missing.empty()) blocks_without[Joined(missing)].push_back(std::to_string(block));
  }
  if (scope == Scope::kModel) {
    collect(-1, outside);
    const auto found = layers.find(-1);
    // A model of token embeddings begins behind its patches.
    if (found != layers.end() && found->second.contains("embed")) {
      std::erase(outside, "patch_embed");
    }
  }
  std::string text;
  for (const auto& [missing, blocks] : blocks_without) {
    text += fmt::format("{}{} of blocks {}", text.empty() ? "" : "; ", missing,
                        fmt::join(blocks, ", "));
  }
  if (!outside.empty()) text += (text.empty() ? "" : "; ") + Joined(outside);
  if (text.empty()) return;
  throw InputError(fmt::format("{}: --scope {}: the bundle has no {}; calibrate it with --scope {}",
                               source, Name(scope), text, Name(scope)));
}

}  // namespace qsim
