#include "sim/diagnose/finding.h"

#include "sim/error.h"

namespace qsim::diagnose {

std::string_view Name(Cause cause) {
  constexpr std::string_view kNames[] = {
      "double_quantization", "stacked_scale",       "unsigned_on_signed", "clipping",
      "scale_mismatch",      "zero_point_mismatch", "constants",          "table",
      "positions",           "stale_weights",       "overflow",           "gate_saturates",
      "channel_outliers",    "small_probabilities", "head_dim_scale",     "head_layout",
      "narrow_multiplier",   "variance_underflow",  "norm_eps",           "calibration_coverage",
      "too_few_bits",        "wrong_input",         "initial_state",      "state_saturates",
      "decay_rounds_to_one", "unexplained",
  };
  return kNames[static_cast<std::size_t>(cause)];
}

std::optional<Config> WithSettings(Config config, const std::vector<std::string>& settings) {
  try {
    for (const std::string& setting : settings) config.Set(setting);
  } catch (const InputError&) {
    return std::nullopt;
  }
  return config;
}

}  // namespace qsim::diagnose
