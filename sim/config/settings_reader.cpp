#include "sim/config/settings_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/error.h"
#include "sim/text/nearest_word.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::config {
namespace {

constexpr int kMostBlocks = 9999;

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

// Whether a key is the layer itself, or one of its parts.
bool IsOf(std::string_view layer, std::string_view key) {
  return key.starts_with(layer) && (key.size() == layer.size() || key[layer.size()] == '.');
}

}  // namespace

SettingsReader::SettingsReader(Settings& settings, const Sections& sections, std::string file)
    : settings_(settings), sections_(sections), file_(std::move(file)) {}

void SettingsReader::ReadDocument(const YamlNode& root) {
  if (root.kind != YamlNode::Kind::kMap) {
    throw InputError(fmt::format("{}:{}: expected a map of sections, got {}", file_, root.line,
                                 root.Describe()));
  }
  for (const YamlEntry& entry : root.entries) {
    const std::string_view top = std::string_view(entry.key).substr(0, entry.key.find('.'));
    if (top == "outputs" || top == "weight") norm_is_global_ = true;
  }
  settings_.global_format = settings_.global_format || norm_is_global_;
  for (const YamlEntry& entry : root.entries) {
    Read(Place(), entry.key, *entry.value, entry.line);
  }
  FinishNames();
}

void SettingsReader::ReadOverride(std::string_view key, const YamlNode& value) {
  norm_is_global_ = settings_.global_format;
  Read(Place(), key, value, 1);
  FinishNames();
}

void SettingsReader::Read(const Place& place, std::string_view key, const YamlNode& node,
                          int line) {
  const std::size_t dot = key.find('.');
  const std::string head(key.substr(0, dot));
  const std::string path = Join(place.path, head);
  if (const auto child = Enter(place, head, line)) {
    if (dot != std::string_view::npos) {
      Read(*child, key.substr(dot + 1), node, line);
      return;
    }
    if (node.kind != YamlNode::Kind::kMap || node.entries.empty()) {
      Fail(path, line,
           fmt::format("expected a map of {}, got {}", SomeOf(KeysOf(*child)),
                       node.kind == YamlNode::Kind::kMap ? "an empty one" : node.Describe()));
    }
    // A contract comes first wherever it is written: the keys beside it change single choices.
    const auto is_contract = [&](const YamlEntry& entry) {
      return child->kind == PlaceKind::kNumerics && entry.key == "contract";
    };
    for (const bool contract : {true, false}) {
      for (const YamlEntry& entry : node.entries) {
        if (is_contract(entry) == contract) Read(*child, entry.key, *entry.value, entry.line);
      }
    }
    return;
  }
  const Leaf leaf{path, node, line};
  // Nesting cannot repeat a key, but a dotted spelling beside a nested one can.
  const bool repeated = !seen_.insert(path).second;
  const std::vector<std::string> words = KeysOf(place);
  if (std::find(words.begin(), words.end(), head) == words.end()) {
    if (node.anchored && place.kind == PlaceKind::kRoot)
      Fail(path, line,
           fmt::format("unknown key; one that only holds an anchor is called x-{}", head));
    if (head == "contract" && place.kind == PlaceKind::kRoot)
      Fail(path, line, "unknown key; the file of a contract is what numerics.contract names");
    Fail(path, line, "unknown key; " + SuggestWord(head, words));
  }
  if (repeated) Fail(path, line, "appears twice, dotted and nested");
  if (dot != std::string_view::npos) Fail(path, line, "is a value and has no keys of its own");
  if (!ReadValue(place, head, leaf)) {
    throw InternalError(fmt::format("configuration key '{}' is listed but not read", path));
  }
}

std::vector<std::string> SettingsReader::KeysOf(const Place& place) const {
  std::vector<std::string> words;
  switch (place.kind) {
    case PlaceKind::kRoot:
    case PlaceKind::kBlock:
    case PlaceKind::kLayer:
      for (const SectionKind& kind : sections_) {
        if (place.kind == PlaceKind::kBlock && !kind.is_per_block) continue;
        if (!place.layer.empty() && !IsOf(place.layer, kind.key)) continue;
        const std::string rest = kind.key.substr(place.layer.empty() ? 0 : place.layer.size() + 1);
        std::string word = rest.substr(0, rest.find('.'));
        if (words.empty() || words.back() != word) words.push_back(std::move(word));
      }
      if (place.kind == PlaceKind::kLayer) return words;
      if (place.kind == PlaceKind::kRoot) {
        for (const auto& [global, name] : kNamesOf<GlobalSection>) {
          if (global != GlobalSection::kNorm) words.emplace_back(name);
        }
        words.insert(words.end(), {"blocks", "w8a8"});
      }
      words.insert(words.end(), {"hardware", "numerics"});
      return words;
    case PlaceKind::kBlocks:
      return {"N (a block number)"};
    case PlaceKind::kSection:
      return {"calibration_mode",   "bit_type",         "observer_type", "quantization_method",
              "percentile_alpha",   "percentile_sigma", "kl_bins",       "smooth",
              "outlier_channels",   "bias_correction",  "rounding",      "enable_profiler",
              "output_quant_enable"};
    case PlaceKind::kBitType:
      return {"bits", "signed", "symmetric", "name"};
    case PlaceKind::kHardware:
      return {"array_rows",      "array_cols", "acc_bits",      "acc_policy",
              "multiplier_bits", "requant",    "residual_bits", "state_bits"};
    case PlaceKind::kNumerics:
      return {"contract",   "requantize",       "softmax",  "softmax_division",
              "layernorm",  "layernorm_eps",    "gelu",     "residual_add",
              "recurrence", "recurrence_chunk", "rounding", "quantize"};
    case PlaceKind::kW8a8:
      return {"granularity", "a_symmetric",   "w_symmetric",     "wide_bits",
              "smooth",      "observer_type", "percentile_alpha"};
  }
  throw InternalError("configuration place of an unknown kind");
}

std::optional<SettingsReader::Place> SettingsReader::Enter(const Place& place,
                                                           const std::string& key, int line) {
  switch (place.kind) {
    case PlaceKind::kRoot:
    case PlaceKind::kBlock:
      return EnterRoot(place, key, line);
    case PlaceKind::kBlocks:
      return EnterBlock(place, key, line);
    case PlaceKind::kLayer:
      return EnterSection(place, key, line);
    case PlaceKind::kSection: {
      if (key != "bit_type") return std::nullopt;
      Place child = place;
      child.kind = PlaceKind::kBitType;
      child.path = Join(place.path, key);
      return child;
    }
    case PlaceKind::kBitType:
    case PlaceKind::kHardware:
    case PlaceKind::kNumerics:
    case PlaceKind::kW8a8:
      return std::nullopt;
  }
  throw InternalError("configuration place of an unknown kind");
}

std::optional<SettingsReader::Place> SettingsReader::EnterRoot(const Place& place,
                                                               const std::string& key, int line) {
  Place child;
  child.path = Join(place.path, key);
  child.block = place.block;
  const bool in_block = place.kind == PlaceKind::kBlock;
  if (key == "hardware" || key == "numerics") {
    child.kind = key == "hardware" ? PlaceKind::kHardware : PlaceKind::kNumerics;
    return child;
  }
  if (key == "blocks" && !in_block) {
    child.kind = PlaceKind::kBlocks;
    return child;
  }
  if (key == "w8a8" && !in_block) {
    child.kind = PlaceKind::kW8a8;
    if (!settings_.w8a8.first_origin) settings_.w8a8.first_origin = OriginAt(line);
    return child;
  }
  const auto global = FromName<GlobalSection>(key);
  if (global && (*global != GlobalSection::kNorm || norm_is_global_)) {
    if (in_block) Fail(child.path, line, "a global section has no blocks.N form; name the tensor");
    child = SectionPlace(place, key, settings_.globals[*global], line);
    child.is_softmax = *global == GlobalSection::kIntsoft;
    child.is_linear_output = *global == GlobalSection::kOutputs;
    child.is_weight = *global == GlobalSection::kWeight;
    return child;
  }
  return EnterSection(place, key, line);
}

std::optional<SettingsReader::Place> SettingsReader::EnterSection(const Place& place,
                                                                  const std::string& key,
                                                                  int line) {
  const std::string full = Join(place.layer, key);
  for (const SectionKind& kind : sections_) {
    if (!IsOf(full, kind.key)) continue;
    if (place.block >= 0 && !kind.is_per_block) {
      Fail(Join(place.path, key), line, fmt::format("is outside the blocks; write '{}'", full));
    }
    if (kind.key != full) {
      Place child;
      child.kind = PlaceKind::kLayer;
      child.path = Join(place.path, key);
      child.block = place.block;
      child.layer = full;
      return child;
    }
    Place child = SectionPlace(place, key, settings_.blocks[place.block].sections[kind.key], line);
    child.is_softmax = kind.describes == Describes::kSoftmax;
    child.is_linear_output = kind.describes == Describes::kLinearOutput;
    child.is_weight = kind.IsWeight();
    return child;
  }
  return std::nullopt;
}

SettingsReader::Place SettingsReader::EnterBlock(const Place& blocks, const std::string& key,
                                                 int line) {
  Place child;
  child.kind = PlaceKind::kBlock;
  child.path = Join(blocks.path, key);
  const auto number = ParseIndex(key);
  if (!number || *number > kMostBlocks)
    Fail(child.path, line, fmt::format("expected a block number, got '{}'", Printable(key)));
  child.block = *number;
  const bool is_new = !settings_.blocks.contains(child.block);
  BlockSettings& block = settings_.blocks[child.block];
  if (is_new) block.first_origin = OriginAt(line);
  return child;
}

SettingsReader::Place SettingsReader::SectionPlace(const Place& parent, const std::string& key,
                                                   SectionSettings& section, int line) {
  Place child;
  child.kind = PlaceKind::kSection;
  child.path = Join(parent.path, key);
  child.block = parent.block;
  child.section = &section;
  if (file_.empty()) {
    section.from_set = true;
  } else if (!section.file_section) {
    section.file_section = OriginAt(line);
  }
  return child;
}

std::string SettingsReader::Example(Describes describes, std::string_view more) const {
  const SectionKind* example = nullptr;
  for (const SectionKind& kind : sections_) {
    if (kind.describes != describes) continue;
    if (example == nullptr || (kind.is_per_block && !example->is_per_block)) example = &kind;
  }
  return example == nullptr ? "" : fmt::format(" ({}{})", example->key, more);
}

Origin SettingsReader::OriginAt(int line) const {
  if (file_.empty()) return {"--set", true};
  return {fmt::format("{}:{}", std::filesystem::path(file_).filename().string(), line), false};
}

void SettingsReader::Fail(const std::string& path, int line, const std::string& what) const {
  throw InputError(fmt::format("{}: key '{}': {}",
                               file_.empty() ? "--set" : fmt::format("{}:{}", file_, line),
                               Printable(path), what));
}

}  // namespace qsim::config
