// Config::Canonical: the resolved configuration as text.
#include <fmt/format.h>

#include <set>

#include "sim/config/config.h"

namespace qsim::config {
namespace {

std::string Line(std::string_view key, const Section& s) {
  return fmt::format(
             "{}: {} {}{} {} {} {} alpha={} sigma={} kl_bins={} profiler={} output_quant={}", key,
             Name(s.calibration_mode), s.is_signed ? "int" : "uint", s.bits,
             s.has_zero_point ? "zero_point" : "symmetric", Name(s.observer), Name(s.method),
             s.percentile_alpha, s.percentile_sigma, s.kl_bins, s.enable_profiler,
             s.output_quant_enable) +
         (s.smooth == 0 ? "" : fmt::format(" smooth={}", s.smooth)) +
         (s.outlier_channels == 0 ? "" : fmt::format(" outlier_channels={}", s.outlier_channels)) +
         (s.bias_correction ? " bias_correction" : "") +
         (s.rounding == WeightRounding::kNearest ? ""
                                                 : fmt::format(" rounding={}", Name(s.rounding)));
}

std::vector<std::string> Lines(const Config& config, int block) {
  const Hardware hardware = config.HardwareFor(block);
  const Numerics numerics = config.NumericsFor(block);
  std::vector<std::string> lines;
  if (block < 0) {
    lines.push_back(fmt::format("hardware.array: {}x{}", hardware.array_rows, hardware.array_cols));
  }
  lines.push_back(fmt::format("hardware: acc_bits={} acc_policy={} multiplier_bits={} requant={}",
                              hardware.acc.bits, Name(hardware.acc.policy),
                              hardware.multiplier_bits, Name(hardware.requant)));
  lines.push_back(fmt::format(
      "numerics: rounding={} requantize={} residual_add={} softmax={} layernorm={} gelu={}",
      Name(numerics.rounding), Name(numerics.requantize), Name(numerics.residual_add),
      Name(numerics.softmax), Name(numerics.layernorm), Name(numerics.gelu)));
  // What is historic stands in no line, so that hashes stay what they were.
  if (numerics.softmax_division != SoftmaxDivision::kBefore)
    lines.push_back(fmt::format("numerics: softmax_division={}", Name(numerics.softmax_division)));
  if (numerics.quantize != QuantizeRule::kZeroThenHalfEven)
    lines.push_back(fmt::format("numerics: quantize={}", Name(numerics.quantize)));
  if (numerics.layernorm_eps != LayernormEps::kIgnore)
    lines.push_back(fmt::format("numerics: layernorm_eps={}", Name(numerics.layernorm_eps)));
  if (numerics.recurrence != Rounding::kHalfUp)
    lines.push_back(fmt::format("numerics: recurrence={}", Name(numerics.recurrence)));
  if (numerics.recurrence_chunk != 0)
    lines.push_back(fmt::format("numerics: recurrence_chunk={}", numerics.recurrence_chunk));
  if (hardware.state_bits != Hardware().state_bits)
    lines.push_back(fmt::format("hardware: state_bits={}", hardware.state_bits));
  const Config plain = Config::Defaults(config.sections());
  for (const SectionKind& kind : config.sections()) {
    if (block >= 0 && !kind.is_per_block) continue;
    const std::string line = Line(kind.key, config.Get(block, kind.key));
    // What few networks have stands in no line either, unless something is asked of it.
    if (kind.presence != Presence::kFew || line != Line(kind.key, plain.Get(-1, kind.key)))
      lines.push_back(line);
  }
  return lines;
}

}  // namespace

std::string Config::Canonical() const {
  const std::vector<std::string> common = Lines(*this, -1);
  const std::set<std::string> known(common.begin(), common.end());
  std::string text;
  for (const std::string& line : common) text += line + "\n";
  for (const auto& [block, settings] : settings_.blocks) {
    if (block < 0) continue;
    for (const std::string& line : Lines(*this, block)) {
      if (!known.contains(line)) text += fmt::format("blocks.{}.{}\n", block, line);
    }
  }
  return text;
}

}  // namespace qsim::config
