#include "sim/config/config_yaml.h"

#include <fmt/format.h>

namespace qsim::config {
namespace {

const char* Word(bool value) { return value ? "True" : "False"; }

std::string SectionText(const std::string& prefix, const SectionKind& kind, const Section& s) {
  const std::string key = prefix + kind.key;
  std::string text = fmt::format(
      "{}.calibration_mode: {}\n{}.bit_type: {{bits: {}, signed: {}, symmetric: {}}}\n"
      "{}.observer_type: {}\n{}.quantization_method: {}\n{}.percentile_alpha: {}\n"
      "{}.percentile_sigma: {}\n{}.kl_bins: {}\n{}.smooth: {}\n{}.outlier_channels: {}\n"
      "{}.enable_profiler: {}\n",
      key, Name(s.calibration_mode), key, s.bits, Word(s.is_signed), Word(!s.has_zero_point), key,
      Name(s.observer), key, Name(s.method), key, s.percentile_alpha, key, s.percentile_sigma, key,
      s.kl_bins, key, s.smooth, key, s.outlier_channels, key, Word(s.enable_profiler));
  if (kind.IsWeight())
    text += fmt::format("{}.bias_correction: {}\n{}.rounding: {}\n", key, Word(s.bias_correction),
                        key, Name(s.rounding));
  if (kind.describes == Describes::kLinearOutput) {
    text += fmt::format("{}.output_quant_enable: {}\n", key, Word(s.output_quant_enable));
  }
  return text;
}

std::string HardwareText(const std::string& prefix, const Hardware& h) {
  return fmt::format(
             "{0}hardware.acc_bits: {1}\n{0}hardware.acc_policy: {2}\n{0}hardware.multiplier_bits: "
             "{3}\n"
             "{0}hardware.requant: {4}\n",
             prefix, h.acc.bits, Name(h.acc.policy), h.multiplier_bits, Name(h.requant)) +
         (h.state_bits == Hardware().state_bits
              ? ""
              : fmt::format("{}hardware.state_bits: {}\n", prefix, h.state_bits));
}

std::string NumericsText(const std::string& prefix, const std::string& contract,
                         const Numerics& n) {
  std::string text;
  if (contract != "custom") text = fmt::format("{}numerics.contract: {}\n", prefix, contract);
  return text +
         fmt::format(
             "{0}numerics.rounding: {1}\n{0}numerics.requantize: {2}\n"
             "{0}numerics.residual_add: {3}\n{0}numerics.softmax: {4}\n"
             "{0}numerics.layernorm: {5}\n{0}numerics.gelu: {6}\n"
             "{0}numerics.softmax_division: {7}\n{0}numerics.layernorm_eps: {8}\n",
             prefix, Name(n.rounding), Name(n.requantize), Name(n.residual_add), Name(n.softmax),
             Name(n.layernorm), Name(n.gelu), Name(n.softmax_division), Name(n.layernorm_eps)) +
         (n.quantize == QuantizeRule::kZeroThenHalfEven
              ? ""
              : fmt::format("{}numerics.quantize: {}\n", prefix, Name(n.quantize))) +
         (n.recurrence == Rounding::kHalfUp
              ? ""
              : fmt::format("{}numerics.recurrence: {}\n", prefix, Name(n.recurrence))) +
         (n.recurrence_chunk == 0
              ? ""
              : fmt::format("{}numerics.recurrence_chunk: {}\n", prefix, n.recurrence_chunk));
}

}  // namespace

std::string ConfigYaml(const Config& config, int depth) {
  const ModelContracts contracts = config.Contracts();
  const auto contract_of = [&](int block) {
    const auto found = contracts.blocks.find(block);
    return found == contracts.blocks.end() ? contracts.model.name : found->second.name;
  };
  const Hardware hardware = config.HardwareFor(-1);
  std::string text = fmt::format("hardware.array_rows: {}\nhardware.array_cols: {}\n",
                                 hardware.array_rows, hardware.array_cols);
  const std::string common_hardware = HardwareText("", hardware);
  const std::string common_numerics = NumericsText("", contract_of(-1), config.NumericsFor(-1));
  text += common_hardware + common_numerics;
  const Config plain = Config::Defaults(config.sections());
  for (const SectionKind& kind : config.sections()) {
    const std::string section = SectionText("", kind, config.Get(-1, kind.key));
    // The network may have no such tensor.
    if (kind.presence == Presence::kFew &&
        section == SectionText("", kind, plain.Get(-1, kind.key))) {
      continue;
    }
    text += section;
  }
  for (int block = 0; block < depth; ++block) {
    const std::string prefix = fmt::format("blocks.{}.", block);
    if (HardwareText("", config.HardwareFor(block)) != common_hardware) {
      text += HardwareText(prefix, config.HardwareFor(block));
    }
    if (NumericsText("", contract_of(block), config.NumericsFor(block)) != common_numerics) {
      text += NumericsText(prefix, contract_of(block), config.NumericsFor(block));
    }
    for (const SectionKind& kind : config.sections()) {
      if (!kind.is_per_block) continue;
      const Section section = config.Get(block, kind.key);
      if (SectionText("", kind, section) != SectionText("", kind, config.Get(-1, kind.key))) {
        text += SectionText(prefix, kind, section);
      }
    }
  }
  return text;
}

}  // namespace qsim::config
