// What files and --set wrote, key by key, before any default or fallback is applied.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/section.h"

namespace qsim::config {

// Where a value was written: "attn_config.yaml:12" or "--set".
struct Origin {
  std::string text;
  bool from_set = false;
};

template <typename T>
struct Setting {
  T value;
  Origin origin;
};
template <typename T>
using Optional = std::optional<Setting<T>>;

struct SectionSettings {
  Optional<CalibrationMode> calibration_mode;
  Optional<int> bits;
  Optional<bool> is_signed;
  Optional<bool> symmetric;
  Optional<ObserverKind> observer;
  Optional<QuantMethod> method;
  Optional<double> percentile_alpha;
  Optional<double> percentile_sigma;
  Optional<int> kl_bins;
  Optional<double> smooth;
  Optional<double> outlier_channels;
  Optional<bool> bias_correction;
  Optional<WeightRounding> rounding;
  Optional<bool> enable_profiler;
  Optional<bool> output_quant_enable;
  std::optional<Origin> file_section;  // first place where a file has this section
  bool from_set = false;               // some key comes from --set
};

struct HardwareSettings {
  Optional<int> array_rows;
  Optional<int> array_cols;
  Optional<int> acc_bits;
  Optional<AccPolicy> acc_policy;
  Optional<int> multiplier_bits;
  Optional<RequantMode> requant;
  Optional<int> residual_bits;
  Optional<int> state_bits;
};

struct W8a8Settings {
  Optional<WeightGranularity> granularity;
  Optional<bool> a_symmetric;
  Optional<bool> w_symmetric;
  Optional<int> wide_bits;
  Optional<ObserverKind> observer;
  Optional<double> percentile_alpha;
  Optional<double> smooth;
  std::optional<Origin> first_origin;  // where the key was written first; absent: not at all
};

struct NumericsSettings {
  Optional<std::string> contract;  // as named; its choices are in the fields below
  Optional<Rounding> rounding;
  Optional<RequantRule> requantize;
  Optional<Rounding> residual_add;
  Optional<SoftmaxKind> softmax;
  Optional<SoftmaxDivision> softmax_division;
  Optional<LayernormKind> layernorm;
  Optional<LayernormEps> layernorm_eps;
  Optional<QuantizeRule> quantize;
  Optional<GeluKind> gelu;
  Optional<Rounding> recurrence;
  Optional<int> recurrence_chunk;
};

// The global (older) format's sections.
enum class GlobalSection : std::uint8_t { kOutputs, kWeight, kActivation, kNorm, kIntsoft };
constexpr auto NamesOf(GlobalSection /*enum*/) {
  return std::to_array<NamedValue<GlobalSection>>({
      {GlobalSection::kOutputs, "outputs"},
      {GlobalSection::kWeight, "weight"},
      {GlobalSection::kNorm, "norm"},
      {GlobalSection::kActivation, "activation"},
      {GlobalSection::kIntsoft, "intsoft"},
  });
}

struct BlockSettings {
  std::map<std::string, SectionSettings, std::less<>> sections;  // by key
  HardwareSettings hardware;
  NumericsSettings numerics;
  Origin first_origin;  // where the block was named first
};

struct Settings {
  std::map<int, BlockSettings> blocks;  // -1: without a blocks.N prefix
  std::map<GlobalSection, SectionSettings> globals;
  W8a8Settings w8a8;
  bool global_format = false;          // some file has `outputs` or `weight` at its top level
  std::vector<std::string> conflicts;  // keys to which two files give different values
};

}  // namespace qsim::config
