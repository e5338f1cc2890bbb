// The values of the schema: types, ranges and words. The tree is walked in settings_reader.cpp.
#include <fmt/format.h>

#include <cstddef>

#include "golden/ops/chunked_recurrence.h"
#include "sim/config/contract.h"
#include "sim/config/setting_names.h"
#include "sim/config/settings_reader.h"
#include "sim/error.h"
#include "sim/io/yaml/yaml_values.h"
#include "sim/text/nearest_word.h"
#include "sim/text/number.h"

namespace qsim::config {
namespace {

constexpr int kLeastBits = 2;
constexpr int kMostBits = 16;

struct TypeName {
  int bits = 0;
  bool is_signed = false;
};

// "int8", "uint4"; nullopt for anything else.
std::optional<TypeName> ParseTypeName(std::string_view name) {
  TypeName type;
  type.is_signed = !name.starts_with('u');
  if (!type.is_signed) name.remove_prefix(1);
  if (!name.starts_with("int")) return std::nullopt;
  name.remove_prefix(3);
  const auto bits = ParseIndex(name);
  if (!bits || *bits < kLeastBits || *bits > kMostBits) return std::nullopt;
  type.bits = *bits;
  return type;
}

}  // namespace

template <typename T>
void SettingsReader::Assign(Optional<T>& slot, T value, const Leaf& leaf) {
  Origin origin = OriginAt(leaf.line);
  if (slot && slot->value != value && !origin.from_set && !slot->origin.from_set) {
    settings_.conflicts.push_back(
        fmt::format("key '{}': {} overrides {}", leaf.path, origin.text, slot->origin.text));
  }
  slot = Setting<T>{std::move(value), std::move(origin)};
}

int SettingsReader::Integer(const Leaf& leaf, int least, int most) const {
  const auto value = AsInteger(leaf.node);
  if (!value || *value < least || *value > most) {
    Fail(leaf.path, leaf.line,
         fmt::format("expected an integer in {}..{}, got {}", least, most, leaf.node.Describe()));
  }
  return static_cast<int>(*value);
}

double SettingsReader::Real(const Leaf& leaf, double above, double most) const {
  const auto value = AsReal(leaf.node);
  if (!value || *value <= above || *value > most) {
    Fail(leaf.path, leaf.line,
         fmt::format("expected a number above {} and at most {}, got {}", above, most,
                     leaf.node.Describe()));
  }
  return *value;
}

double SettingsReader::Share(const Leaf& leaf) const {
  const auto value = AsReal(leaf.node);
  if (!value || *value < 0 || *value > 1) {
    Fail(leaf.path, leaf.line,
         fmt::format("expected a number in 0..1 (0: none), got {}", leaf.node.Describe()));
  }
  return *value;
}

bool SettingsReader::Boolean(const Leaf& leaf) const {
  const auto value = AsBoolean(leaf.node);
  if (!value) {
    Fail(leaf.path, leaf.line, fmt::format("expected True or False, got {}", leaf.node.Describe()));
  }
  return *value;
}

template <typename T>
T SettingsReader::OneOf(const Leaf& leaf, std::string_view what) const {
  const auto text = AsText(leaf.node);
  const auto value = text ? FromName<T>(*text) : std::nullopt;
  if (value && InPrograms(*value)) return *value;
  const std::vector<std::string> valid = SettingNames<T>();
  if (!text) {
    Fail(leaf.path, leaf.line,
         fmt::format("expected one of {}; got {}", fmt::join(valid, ", "), leaf.node.Describe()));
  }
  if (value) {
    Fail(leaf.path, leaf.line,
         fmt::format("{} '{}' is not available in this version; use {}", what, *text,
                     fmt::join(valid, " or ")));
  }
  const auto nearest = NearestWord(*text, valid);
  Fail(leaf.path, leaf.line,
       fmt::format("unknown {} {}; {}valid: {}", what, leaf.node.Describe(),
                   nearest ? fmt::format("did you mean '{}'? ", *nearest) : std::string(),
                   fmt::join(valid, ", ")));
}

bool SettingsReader::ReadValue(const Place& place, const std::string& key, const Leaf& leaf) {
  switch (place.kind) {
    case PlaceKind::kSection:
      return ReadSectionValue(place, key, leaf);
    case PlaceKind::kBitType:
      return ReadBitTypeValue(place, key, leaf);
    case PlaceKind::kHardware:
      return ReadHardwareValue(place, key, leaf);
    case PlaceKind::kNumerics:
      return ReadNumericsValue(place, key, leaf);
    case PlaceKind::kW8a8:
      return ReadW8a8Value(key, leaf);
    case PlaceKind::kRoot:
    case PlaceKind::kBlocks:
    case PlaceKind::kBlock:
    case PlaceKind::kLayer:
      return false;
  }
  return false;
}

void SettingsReader::RequireWeight(const Place& place, const Leaf& leaf) const {
  if (place.is_weight) return;
  Fail(leaf.path, leaf.line,
       fmt::format("is for weights{} only; leave it out", Example(Describes::kWeight, ", ...")));
}

bool SettingsReader::ReadSectionValue(const Place& place, const std::string& key,
                                      const Leaf& leaf) {
  SectionSettings& section = *place.section;
  if (key == "calibration_mode") {
    Assign(section.calibration_mode, OneOf<CalibrationMode>(leaf, "calibration mode"), leaf);
  } else if (key == "observer_type") {
    Assign(section.observer, OneOf<ObserverKind>(leaf, "observer"), leaf);
  } else if (key == "quantization_method") {
    const QuantMethod method = OneOf<QuantMethod>(leaf, "quantization method");
    if (method == QuantMethod::kLog2 && !place.is_softmax) {
      Fail(leaf.path, leaf.line,
           fmt::format("Log2 is for the softmax output{} only; use Uniform: the array multiplies "
                       "or shifts by attention codes, nothing else",
                       Example(Describes::kSoftmax, "")));
    }
    Assign(section.method, method, leaf);
  } else if (key == "percentile_alpha") {
    Assign(section.percentile_alpha, Real(leaf, 0.5, 1.0), leaf);
  } else if (key == "percentile_sigma") {
    Assign(section.percentile_sigma, Real(leaf, 0.0, 1.0), leaf);
  } else if (key == "kl_bins") {
    Assign(section.kl_bins, Integer(leaf, 16, 1 << 20), leaf);
  } else if (key == "smooth") {
    Assign(section.smooth, Share(leaf), leaf);
  } else if (key == "outlier_channels") {
    Assign(section.outlier_channels, Share(leaf), leaf);
  } else if (key == "bias_correction") {
    const bool enable = Boolean(leaf);
    if (enable) RequireWeight(place, leaf);
    Assign(section.bias_correction, enable, leaf);
  } else if (key == "rounding") {
    const auto rounding = OneOf<WeightRounding>(leaf, "rounding of weights");
    if (rounding != WeightRounding::kNearest) RequireWeight(place, leaf);
    Assign(section.rounding, rounding, leaf);
  } else if (key == "enable_profiler") {
    Assign(section.enable_profiler, Boolean(leaf), leaf);
  } else if (key == "output_quant_enable") {
    const bool enable = Boolean(leaf);
    if (enable && !place.is_linear_output) {
      Fail(leaf.path, leaf.line,
           fmt::format("is for linear outputs{} only; leave it out",
                       Example(Describes::kLinearOutput, ", ...")));
    }
    Assign(section.output_quant_enable, enable, leaf);
  } else {
    return false;
  }
  return true;
}

bool SettingsReader::ReadBitTypeValue(const Place& place, const std::string& key,
                                      const Leaf& leaf) {
  BitType& given = bit_types_[place.path];
  given.section = place.section;
  given.path = place.path;
  if (key == "bits") {
    given.bits = Integer(leaf, kLeastBits, kMostBits);
    Assign(place.section->bits, *given.bits, leaf);
  } else if (key == "signed") {
    given.is_signed = Boolean(leaf);
    Assign(place.section->is_signed, *given.is_signed, leaf);
  } else if (key == "symmetric") {
    given.symmetric = Boolean(leaf);
    Assign(place.section->symmetric, *given.symmetric, leaf);
  } else if (key == "name") {
    const auto text = AsText(leaf.node);
    if (!text || !ParseTypeName(*text)) {
      Fail(leaf.path, leaf.line,
           fmt::format("expected int2..int16 or uint2..uint16, got {}", leaf.node.Describe()));
    }
    given.name = *text;
    given.name_line = leaf.line;
  } else {
    return false;
  }
  return true;
}

void SettingsReader::FinishNames() {
  const YamlNode none;
  for (const auto& [path, given] : bit_types_) {
    if (!given.name) continue;
    const TypeName type = *ParseTypeName(*given.name);
    const Leaf leaf{path + ".name", none, given.name_line};
    const std::optional<bool> is_signed = given.is_signed ? given.is_signed : given.symmetric;
    if (given.bits && *given.bits != type.bits) {
      Fail(leaf.path, leaf.line,
           fmt::format("'{}' contradicts bits: {}", *given.name, *given.bits));
    }
    if (is_signed && *is_signed != type.is_signed) {
      Fail(leaf.path, leaf.line,
           fmt::format("'{}' contradicts {}: {}", *given.name,
                       given.is_signed ? "signed" : "symmetric", *is_signed ? "True" : "False"));
    }
    if (!given.bits) Assign(given.section->bits, type.bits, leaf);
    if (!is_signed) Assign(given.section->is_signed, type.is_signed, leaf);
  }
}

bool SettingsReader::ReadHardwareValue(const Place& place, const std::string& key,
                                       const Leaf& leaf) {
  HardwareSettings& hardware = settings_.blocks[place.block].hardware;
  if (key == "array_rows" || key == "array_cols") {
    if (place.block >= 0) {
      Fail(leaf.path, leaf.line,
           fmt::format("all blocks run on one array; write 'hardware.{}'", key));
    }
    Assign(key == "array_rows" ? hardware.array_rows : hardware.array_cols, Integer(leaf, 1, 256),
           leaf);
  } else if (key == "acc_bits") {
    Assign(hardware.acc_bits, Integer(leaf, 16, 32), leaf);
  } else if (key == "acc_policy") {
    Assign(hardware.acc_policy, OneOf<AccPolicy>(leaf, "accumulator policy"), leaf);
  } else if (key == "multiplier_bits") {
    Assign(hardware.multiplier_bits, Integer(leaf, 2, 31), leaf);
  } else if (key == "requant") {
    Assign(hardware.requant, OneOf<RequantMode>(leaf, "requantize mode"), leaf);
  } else if (key == "residual_bits") {
    const auto bits = AsInteger(leaf.node);
    if (bits != 8 && bits != 16) {
      Fail(leaf.path, leaf.line, fmt::format("expected 8 or 16, got {}", leaf.node.Describe()));
    }
    Assign(hardware.residual_bits, static_cast<int>(*bits), leaf);
  } else if (key == "state_bits") {
    Assign(hardware.state_bits, Integer(leaf, 16, 32), leaf);
  } else {
    return false;
  }
  return true;
}

bool SettingsReader::ReadNumericsValue(const Place& place, const std::string& key,
                                       const Leaf& leaf) {
  NumericsSettings& numerics = settings_.blocks[place.block].numerics;
  if (key == "contract") {
    ReadContract(place, leaf);
  } else if (key == "rounding") {
    Assign(numerics.rounding, OneOf<Rounding>(leaf, "rounding"), leaf);
  } else if (key == "requantize") {
    Assign(numerics.requantize, ReadRequantRule(leaf), leaf);
  } else if (key == "residual_add") {
    Assign(numerics.residual_add, OneOf<Rounding>(leaf, "rounding"), leaf);
  } else if (key == "softmax") {
    Assign(numerics.softmax, OneOf<SoftmaxKind>(leaf, "softmax"), leaf);
  } else if (key == "softmax_division") {
    Assign(numerics.softmax_division, OneOf<SoftmaxDivision>(leaf, "division"), leaf);
  } else if (key == "layernorm") {
    Assign(numerics.layernorm, OneOf<LayernormKind>(leaf, "layernorm"), leaf);
  } else if (key == "layernorm_eps") {
    Assign(numerics.layernorm_eps, OneOf<LayernormEps>(leaf, "layernorm_eps"), leaf);
  } else if (key == "quantize") {
    Assign(numerics.quantize, OneOf<QuantizeRule>(leaf, "rule"), leaf);
  } else if (key == "gelu") {
    Assign(numerics.gelu, OneOf<GeluKind>(leaf, "gelu"), leaf);
  } else if (key == "recurrence") {
    Assign(numerics.recurrence, OneOf<Rounding>(leaf, "rounding"), leaf);
  } else if (key == "recurrence_chunk") {
    Assign(numerics.recurrence_chunk, Integer(leaf, 0, golden::kMaxChunk), leaf);
  } else {
    return false;
  }
  return true;
}

bool SettingsReader::ReadW8a8Value(const std::string& key, const Leaf& leaf) {
  W8a8Settings& w8a8 = settings_.w8a8;
  if (key == "granularity") {
    Assign(w8a8.granularity, OneOf<WeightGranularity>(leaf, "granularity"), leaf);
  } else if (key == "a_symmetric") {
    Assign(w8a8.a_symmetric, Boolean(leaf), leaf);
  } else if (key == "w_symmetric") {
    Assign(w8a8.w_symmetric, Boolean(leaf), leaf);
  } else if (key == "wide_bits") {
    Assign(w8a8.wide_bits, Integer(leaf, 8, 16), leaf);
  } else if (key == "observer_type") {
    Assign(w8a8.observer, OneOf<ObserverKind>(leaf, "observer"), leaf);
  } else if (key == "percentile_alpha") {
    Assign(w8a8.percentile_alpha, Real(leaf, 0.5, 1.0), leaf);
  } else if (key == "smooth") {
    Assign(w8a8.smooth, Share(leaf), leaf);
  } else {
    return false;
  }
  return true;
}

RequantRule SettingsReader::ReadRequantRule(const Leaf& leaf) const {
  const auto text = AsText(leaf.node);
  const auto rule = text ? RequantRuleFromName(*text) : std::nullopt;
  if (rule) return *rule;
  Fail(leaf.path, leaf.line,
       fmt::format("unknown requantize rule {}; {}", leaf.node.Describe(),
                   SuggestWord(text.value_or(""), RequantRuleNames())));
}

// A contract sets every choice of its level: what earlier files and options said is replaced.
void SettingsReader::ReadContract(const Place& place, const Leaf& leaf) {
  const auto text = AsText(leaf.node);
  if (!text) Fail(leaf.path, leaf.line, "expected a contract's name, got " + leaf.node.Describe());
  NumericsContract contract;
  try {
    contract = LoadContract(*text);
  } catch (const InputError& error) {
    Fail(leaf.path, leaf.line, error.what());
  }
  BlockSettings& block = settings_.blocks[place.block];
  NumericsSettings& numerics = block.numerics;
  numerics.rounding.reset();
  Assign(numerics.contract, *text, leaf);
  Assign(numerics.requantize, contract.numerics.requantize, leaf);
  Assign(numerics.residual_add, contract.numerics.residual_add, leaf);
  Assign(numerics.softmax, contract.numerics.softmax, leaf);
  Assign(numerics.softmax_division, contract.numerics.softmax_division, leaf);
  Assign(numerics.layernorm, contract.numerics.layernorm, leaf);
  Assign(numerics.layernorm_eps, contract.numerics.layernorm_eps, leaf);
  Assign(numerics.gelu, contract.numerics.gelu, leaf);
  Assign(numerics.quantize, contract.numerics.quantize, leaf);
  Assign(numerics.recurrence, contract.numerics.recurrence, leaf);
  Assign(numerics.recurrence_chunk, contract.numerics.recurrence_chunk, leaf);
  Assign(block.hardware.requant, contract.scales, leaf);
}

}  // namespace qsim::config
