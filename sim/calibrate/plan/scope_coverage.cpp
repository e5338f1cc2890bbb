#include "sim/calibrate/plan/scope_coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "sim/error.h"
#include "sim/text/block_name.h"

namespace qsim::calibrate {
namespace {

std::string FullName(const OwnSection& section) {
  if (section.block < 0) return section.kind->key;
  return fmt::format("blocks.{}.{}", section.block, section.kind->key);
}

std::string Described(const OwnSection& section) {
  return fmt::format("{} ({})", FullName(section), section.origin);
}

// The layers of every block of a program; those outside the blocks under -1.
std::map<std::int64_t, std::set<std::string, std::less<>>> LayersOf(const Program& program) {
  std::map<std::int64_t, std::set<std::string, std::less<>>> layers;
  for (const TensorInfo& info : program.tensors) {
    BlockName name = SplitBlock(info.name);
    layers[name.number].insert(std::move(name.rest));
  }
  return layers;
}

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

// Whether a network has the layer of a section: its weights and its output come together.
bool Has(const network::Network& network, const SectionKind& kind) {
  const auto names = [&](const std::optional<network::SectionKey>& key) {
    return key && (key->key == kind.key || key->key.starts_with(std::string(kind.Layer()) + "."));
  };
  return std::ranges::any_of(network.nodes(), [&](const network::Node& node) {
    return names(node.section) || names(node.weight_section);
  });
}

}  // namespace

Scope SmallestScope(const Config& config, bool has_head) {
  Scope scope = Scope::kAttention;
  if (config.W8a8Family()) scope = has_head ? Scope::kModel : Scope::kBlock;
  for (const OwnSection& section : config.OwnSections()) {
    scope = std::max(scope, section.kind->scope);
  }
  return scope;
}

void RequireCovered(const Config& config, Scope scope, bool some_blocks,
                    const network::Network& network) {
  std::vector<std::string> hidden;
  Scope needed = scope;
  for (const OwnSection& section : config.OwnSections()) {
    if (section.kind->scope <= scope || section.kind->enters_block) continue;
    if (some_blocks && !section.kind->is_per_block) continue;
    if (!Has(network, *section.kind)) continue;
    needed = std::max(needed, section.kind->scope);
    hidden.push_back(Described(section));
  }
  if (hidden.empty()) return;
  throw InputError(fmt::format(
      "--scope {} leaves out layers that have a section of their own: {}; use --scope {}, or leave "
      "--scope or those sections out",
      Name(scope), Joined(hidden), Name(needed)));
}

std::vector<std::string> SectionsWithoutTensor(const Config& config, const Program& program,
                                               const network::Network& network) {
  const auto layers = LayersOf(program);
  std::vector<std::string> without;
  for (const OwnSection& section : config.OwnSections()) {
    if (section.kind->enters_block || !Has(network, *section.kind)) continue;
    const bool has = std::any_of(layers.begin(), layers.end(), [&](const auto& block) {
      const bool here = section.block < 0 ? (block.first >= 0) == section.kind->is_per_block
                                          : block.first == section.block;
      return here && block.second.contains(section.kind->Layer());
    });
    if (!has) without.push_back(Described(section));
  }
  return without;
}

std::vector<std::string> SectionsOfOtherNetworks(const Config& config,
                                                 const network::Network& network) {
  std::vector<std::string> others;
  for (const OwnSection& section : config.OwnSections()) {
    if (!Has(network, *section.kind)) others.push_back(Described(section));
  }
  return others;
}

void RequireScope(const Program& program, Scope scope, const std::string& source,
                  const Sections& sections) {
  const auto layers = LayersOf(program);
  std::map<std::string, std::vector<std::string>> blocks_without;  // layers -> blocks
  std::vector<std::string> outside;
  const auto collect = [&](std::int64_t block, std::vector<std::string>& missing) {
    const auto found = layers.find(block);
    for (const SectionKind& kind : sections) {
      const std::string_view layer = kind.Layer();
      if (kind.is_per_block != (block >= 0) || kind.scope > scope) continue;
      if (kind.presence == Presence::kFew) continue;
      if (found != layers.end() && found->second.contains(layer)) {
        // A model of token embeddings begins behind its patches.
        if (block < 0 && kind.enters_block) missing.clear();
        continue;
      }
      // A network may end before it; named beside what no network lacks.
      if (kind.presence == Presence::kMost && missing.empty()) continue;
      if (missing.empty() || missing.back() != layer) missing.emplace_back(layer);
    }
  };
  for (const auto& [block, tensors] : layers) {
    if (block < 0) continue;
    std::vector<std::string> missing;
    collect(block, missing);
    if (!missing.empty()) blocks_without[Joined(missing)].push_back(std::to_string(block));
  }
  if (scope == Scope::kModel) collect(-1, outside);
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

}  // namespace qsim::calibrate
