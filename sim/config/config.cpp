#include "sim/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/config/settings_reader.h"
#include "sim/error.h"
#include "sim/io/yaml/yaml_document.h"
#include "sim/text/printable.h"

namespace qsim::config {
namespace {

// A log_int code, docs/numerics.md section 5.4.
constexpr int kLog2Bits = 4;

const BlockSettings* FindBlock(const Settings& settings, int block) {
  const auto it = settings.blocks.find(block);
  return it == settings.blocks.end() ? nullptr : &it->second;
}

// The settings that apply to a block, most specific first.
std::vector<const BlockSettings*> BlockLevels(const Settings& settings, int block) {
  std::vector<const BlockSettings*> levels;
  if (block >= 0) levels.push_back(FindBlock(settings, block));
  levels.push_back(FindBlock(settings, -1));
  std::erase(levels, nullptr);
  return levels;
}

// The global sections that a section falls back to, in order.
std::vector<GlobalSection> GlobalsFor(Describes describes) {
  switch (describes) {
    case Describes::kWeight:
      return {GlobalSection::kWeight};
    case Describes::kLinearOutput:
      return {GlobalSection::kOutputs};
    case Describes::kSoftmax:
      return {GlobalSection::kIntsoft};
    case Describes::kNorm:
      return {GlobalSection::kNorm, GlobalSection::kOutputs};
    case Describes::kTensor:
      break;
  }
  return {GlobalSection::kActivation, GlobalSection::kOutputs};
}

// The sections whose keys apply to a tensor, most specific first. A tensor with a section of its
// own in a file does not look at the global ones; the first global section that a file has ends the
// search.
std::vector<const SectionSettings*> SectionLevels(const Settings& settings, int block,
                                                  const SectionKind& kind) {
  std::vector<const SectionSettings*> levels;
  bool own = false;
  for (const BlockSettings* level : BlockLevels(settings, kind.is_per_block ? block : -1)) {
    const auto it = level->sections.find(kind.key);
    if (it == level->sections.end()) continue;
    levels.push_back(&it->second);
    own = own || it->second.file_section.has_value();
  }
  if (own) return levels;
  for (const GlobalSection global : GlobalsFor(kind.describes)) {
    const auto it = settings.globals.find(global);
    if (it == settings.globals.end()) continue;
    levels.push_back(&it->second);
    if (it->second.file_section) break;
  }
  return levels;
}

// The most specific setting of a key, or null.
template <typename T, typename Level>
const Setting<T>* FirstSet(const std::vector<const Level*>& levels, Optional<T> Level::*key) {
  for (const Level* level : levels) {
    if (level->*key) return &*(level->*key);
  }
  return nullptr;
}

template <typename T, typename Level>
void Override(T& value, const std::vector<const Level*>& levels, Optional<T> Level::*key) {
  if (const Setting<T>* setting = FirstSet(levels, key)) value = setting->value;
}

std::string OriginOf(const SectionSettings& section) {
  if (!section.file_section) return "--set";
  return section.file_section->text + (section.from_set ? ", --set" : "");
}

// signed gives the range and symmetric the zero point; either alone gives both.
void ResolveSign(Section& section, const std::vector<const SectionSettings*>& levels) {
  for (const SectionSettings* level : levels) {
    if (!level->is_signed && !level->symmetric) continue;
    section.is_signed = level->is_signed ? level->is_signed->value : level->symmetric->value;
    section.has_zero_point = level->symmetric ? !level->symmetric->value : !level->is_signed->value;
    return;
  }
}

std::vector<const HardwareSettings*> HardwareLevels(const Settings& settings, int block) {
  std::vector<const HardwareSettings*> levels;
  for (const BlockSettings* level : BlockLevels(settings, block)) {
    levels.push_back(&level->hardware);
  }
  return levels;
}

std::optional<W8a8> ResolveW8a8(const W8a8Settings& settings) {
  if (!settings.first_origin) return std::nullopt;
  W8a8 w8a8;
  if (settings.granularity) w8a8.granularity = settings.granularity->value;
  if (settings.a_symmetric) w8a8.a_symmetric = settings.a_symmetric->value;
  if (settings.w_symmetric) w8a8.w_symmetric = settings.w_symmetric->value;
  if (settings.wide_bits) w8a8.wide_bits = settings.wide_bits->value;
  if (settings.observer) w8a8.observer = settings.observer->value;
  if (settings.percentile_alpha) w8a8.percentile_alpha = settings.percentile_alpha->value;
  if (settings.smooth) w8a8.smooth = settings.smooth->value;
  return w8a8;
}

// What a tensor has where no section says otherwise.
Section BaseSection(const Settings& settings, const SectionKind& kind) {
  Section section;
  section.calibration_mode = kind.granularity;
  section.bits = kind.bits;
  section.is_signed = kind.is_signed;
  const std::optional<W8a8> w8a8 = ResolveW8a8(settings.w8a8);
  if (!w8a8 || kind.describes == Describes::kSoftmax) return section;
  const bool symmetric = kind.IsWeight() ? w8a8->w_symmetric : w8a8->a_symmetric;
  const bool per_channel = kind.IsWeight() && w8a8->granularity == WeightGranularity::kPerChannel;
  section.calibration_mode =
      per_channel ? CalibrationMode::kChannelWise : CalibrationMode::kLayerWise;
  section.is_signed = symmetric;
  section.has_zero_point = !symmetric;
  section.origin = settings.w8a8.first_origin->text;
  if (kind.IsWeight()) return section;
  section.observer = w8a8->observer;
  section.percentile_alpha = w8a8->percentile_alpha;
  if (kind.absorbed) section.smooth = w8a8->smooth;
  if (w8a8->wide_bits && !kind.stays_wide) section.bits = std::min(section.bits, *w8a8->wide_bits);
  return section;
}

Section ResolveSection(const Settings& settings, int block, const SectionKind& kind) {
  const auto levels = SectionLevels(settings, block, kind);
  Section section = BaseSection(settings, kind);
  Override(section.calibration_mode, levels, &SectionSettings::calibration_mode);
  Override(section.bits, levels, &SectionSettings::bits);
  ResolveSign(section, levels);
  Override(section.observer, levels, &SectionSettings::observer);
  Override(section.method, levels, &SectionSettings::method);
  Override(section.percentile_alpha, levels, &SectionSettings::percentile_alpha);
  Override(section.percentile_sigma, levels, &SectionSettings::percentile_sigma);
  Override(section.kl_bins, levels, &SectionSettings::kl_bins);
  Override(section.smooth, levels, &SectionSettings::smooth);
  Override(section.outlier_channels, levels, &SectionSettings::outlier_channels);
  Override(section.bias_correction, levels, &SectionSettings::bias_correction);
  Override(section.rounding, levels, &SectionSettings::rounding);
  Override(section.enable_profiler, levels, &SectionSettings::enable_profiler);
  Override(section.output_quant_enable, levels, &SectionSettings::output_quant_enable);
  if (!levels.empty()) section.origin = OriginOf(*levels.front());
  if (kind.is_stream) {
    const auto hardware = HardwareLevels(settings, kind.is_per_block ? block : -1);
    Override(section.bits, hardware, &HardwareSettings::residual_bits);
  }
  return section;
}

const Setting<SoftmaxKind>* ExplicitSoftmax(const Settings& settings, int block) {
  for (const BlockSettings* level : BlockLevels(settings, block)) {
    if (level->numerics.softmax) return &*level->numerics.softmax;
  }
  return nullptr;
}

}  // namespace

Config Config::Load(const std::vector<std::filesystem::path>& files, const Sections& sections) {
  Config config(sections);
  for (const std::filesystem::path& file : files) {
    SettingsReader(config.settings_, sections, file.string()).ReadDocument(*LoadYaml(file));
  }
  return config;
}

void Config::Set(std::string_view key_equals_value) {
  const std::size_t equals = key_equals_value.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw InputError(
        fmt::format("--set: '{}': expected key=value, for example hardware.acc_bits=24",
                    Printable(key_equals_value)));
  }
  const std::string_view key = key_equals_value.substr(0, equals);
  const std::string_view text = key_equals_value.substr(equals + 1);
  YamlPtr value;
  try {
    value = ParseYaml(text, "--set");
  } catch (const InputError&) {
    throw InputError(
        fmt::format("--set: key '{}': '{}' is not a value", Printable(key), Printable(text)));
  }
  // Read into a copy: a key that is refused must leave no trace.
  Settings changed = settings_;
  SettingsReader(changed, sections_, "").ReadOverride(key, *value);
  settings_ = std::move(changed);
}

Section Config::Get(int block, std::string_view key) const {
  const SectionKind& kind = sections_.At(key);
  Section section = ResolveSection(settings_, block, kind);
  if (kind.describes != Describes::kSoftmax) return section;
  section.has_zero_point = false;  // an attention weight of 0 has code 0
  const Setting<SoftmaxKind>* softmax = ExplicitSoftmax(settings_, block);
  if (softmax != nullptr && softmax->value == SoftmaxKind::kLogInt) {
    section.method = QuantMethod::kLog2;
    section.bits = kLog2Bits;
  }
  if (section.method == QuantMethod::kLog2) {
    section.is_signed = false;
    if (FirstSet(SectionLevels(settings_, block, kind), &SectionSettings::bits) == nullptr) {
      section.bits = kLog2Bits;
    }
  }
  return section;
}

Hardware Config::HardwareFor(int block) const {
  const std::vector<const HardwareSettings*> levels = HardwareLevels(settings_, block);
  Hardware hardware;
  Override(hardware.array_rows, levels, &HardwareSettings::array_rows);
  Override(hardware.array_cols, levels, &HardwareSettings::array_cols);
  Override(hardware.acc.bits, levels, &HardwareSettings::acc_bits);
  Override(hardware.acc.policy, levels, &HardwareSettings::acc_policy);
  Override(hardware.multiplier_bits, levels, &HardwareSettings::multiplier_bits);
  Override(hardware.requant, levels, &HardwareSettings::requant);
  Override(hardware.state_bits, levels, &HardwareSettings::state_bits);
  if (const auto* bits = FirstSet(levels, &HardwareSettings::residual_bits)) {
    hardware.residual_bits = bits->value;
  }
  return hardware;
}

Numerics Config::NumericsFor(int block) const {
  const std::vector<const BlockSettings*> blocks = BlockLevels(settings_, block);
  Numerics numerics;
  // Least specific first, so that a block's `rounding` also beats a global `requantize`.
  for (auto it = blocks.rbegin(); it != blocks.rend(); ++it) {
    const NumericsSettings& level = (*it)->numerics;
    if (level.rounding) {
      numerics.rounding = level.rounding->value;
      numerics.requantize = {RequantScheme::kRoundShift, numerics.rounding};
      numerics.residual_add = numerics.rounding;
    }
    if (level.requantize) {
      const Rounding rounding = numerics.requantize.rounding;
      numerics.requantize = level.requantize->value;
      // A published scheme leaves the rounding of what it does not cover alone.
      if (numerics.requantize.scheme != RequantScheme::kRoundShift) {
        numerics.requantize.rounding = rounding;
      }
    }
    if (level.residual_add) numerics.residual_add = level.residual_add->value;
    if (level.softmax_division) numerics.softmax_division = level.softmax_division->value;
    if (level.layernorm) numerics.layernorm = level.layernorm->value;
    if (level.layernorm_eps) numerics.layernorm_eps = level.layernorm_eps->value;
    if (level.quantize) numerics.quantize = level.quantize->value;
    if (level.gelu) numerics.gelu = level.gelu->value;
    if (level.recurrence) numerics.recurrence = level.recurrence->value;
    if (level.recurrence_chunk) numerics.recurrence_chunk = level.recurrence_chunk->value;
  }
  if (const Setting<SoftmaxKind>* softmax = ExplicitSoftmax(settings_, block)) {
    numerics.softmax = softmax->value;
    return numerics;
  }
  for (const SectionKind& kind : sections_) {
    if (kind.describes != Describes::kSoftmax) continue;
    if (Get(block, kind.key).method == QuantMethod::kLog2) numerics.softmax = SoftmaxKind::kLogInt;
  }
  return numerics;
}

std::optional<W8a8> Config::W8a8Family() const { return ResolveW8a8(settings_.w8a8); }

std::vector<OwnSection> Config::OwnSections() const {
  std::vector<OwnSection> own;
  for (const auto& [block, settings] : settings_.blocks) {
    for (const SectionKind& kind : sections_) {
      const auto found = settings.sections.find(kind.key);
      if (found != settings.sections.end()) {
        own.push_back({block, &kind, OriginOf(found->second)});
      }
    }
  }
  return own;
}

ModelContracts Config::Contracts() const {
  const auto of = [this](int block) {
    std::string name = "default";
    for (const BlockSettings* level : BlockLevels(settings_, block)) {
      if (!level->numerics.contract) continue;
      name = level->numerics.contract->value;
      break;
    }
    const NumericsContract named = LoadContract(name);
    NumericsContract contract = named;
    contract.numerics = NumericsFor(block);
    contract.scales = HardwareFor(block).requant;
    const auto differences = CompareContracts({named, {}}, {contract, {}});
    if (differences.empty()) return contract;
    contract.name = "custom";
    contract.source = named.name + " with";
    for (const ContractDifference& d : differences) {
      contract.source += fmt::format(" {} {}", d.field, d.b);
      std::erase(contract.defaulted, d.field);
    }
    return contract;
  };
  ModelContracts contracts{of(-1), {}};
  for (const auto& [block, settings] : settings_.blocks) {
    if (block < 0) continue;
    NumericsContract contract = of(block);
    if (contract.Hash() != contracts.model.Hash()) {
      contracts.blocks.emplace(block, std::move(contract));
    }
  }
  return contracts;
}

void Config::CheckBlocks(int depth) const {
  for (const auto& [block, settings] : settings_.blocks) {
    if (block >= depth) {
      throw InputError(fmt::format("{}: key 'blocks.{}': the model has blocks 0..{}",
                                   settings.first_origin.text, block, depth - 1));
    }
  }
  for (int block = -1; block < depth; ++block) {
    const auto* softmax = ExplicitSoftmax(settings_, block);
    if (softmax == nullptr || softmax->value == SoftmaxKind::kLogInt) continue;
    for (const SectionKind& kind : sections_) {
      if (kind.describes != Describes::kSoftmax) continue;
      const auto levels = SectionLevels(settings_, block, kind);
      const auto* method = FirstSet(levels, &SectionSettings::method);
      if (method == nullptr || method->value != QuantMethod::kLog2) continue;
      throw InputError(
          fmt::format("{}: key 'quantization_method' of {}: Log2 contradicts numerics.softmax {} "
                      "({}); use Uniform, or softmax log_int",
                      method->origin.text, kind.key, Name(softmax->value), softmax->origin.text));
    }
  }
}

// Where hardware.residual_bits changes what a section says.
void Config::NoteResidualBits(std::vector<std::string>& notes) const {
  for (const auto& [block, settings] : settings_.blocks) {
    for (const SectionKind& kind : sections_) {
      if (!kind.is_stream || (block >= 0 && !kind.is_per_block)) continue;
      // Said once for all blocks.
      if (block >= 0 && !settings.hardware.residual_bits && !settings.sections.contains(kind.key)) {
        continue;
      }
      const auto levels = SectionLevels(settings_, block, kind);
      const auto* said = FirstSet(levels, &SectionSettings::bits);
      const auto* taken =
          FirstSet(HardwareLevels(settings_, block), &HardwareSettings::residual_bits);
      if (said == nullptr || taken == nullptr || said->value == taken->value) continue;
      notes.push_back(fmt::format(
          "key 'hardware.residual_bits': {} ({}) overrules the {} bits of "
          "{}{} ({})",
          taken->value, taken->origin.text, said->value,
          block < 0 ? "" : fmt::format("blocks.{}.", block), kind.key, said->origin.text));
    }
  }
}

std::vector<std::string> Config::notes() const {
  std::vector<std::string> notes = settings_.conflicts;
  NoteResidualBits(notes);
  for (const auto& [block, settings] : settings_.blocks) {
    const auto* softmax = ExplicitSoftmax(settings_, block);
    if (softmax == nullptr || softmax->value != SoftmaxKind::kLogInt) continue;
    for (const SectionKind& kind : sections_) {
      if (kind.describes != Describes::kSoftmax) continue;
      const bool has_own = settings.numerics.softmax || settings.sections.contains(kind.key);
      if (block >= 0 && !has_own) continue;  // said once, for all blocks
      const auto levels = SectionLevels(settings_, block, kind);
      const auto* method = FirstSet(levels, &SectionSettings::method);
      const auto* bits = FirstSet(levels, &SectionSettings::bits);
      const bool uniform = method != nullptr && method->value != QuantMethod::kLog2;
      if (!uniform && (bits == nullptr || bits->value == kLog2Bits)) continue;
      notes.push_back(
          fmt::format("key '{}numerics.softmax': log_int ({}) overrules the {} section ({}): "
                      "Log2, {} bits",
                      block < 0 ? "" : fmt::format("blocks.{}.", block), softmax->origin.text,
                      kind.key, OriginOf(*levels.front()), kLog2Bits));
    }
  }
  return notes;
}

}  // namespace qsim::config
