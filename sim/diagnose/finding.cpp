#include "sim/diagnose/finding.h"

#include <array>

namespace qsim::diagnose {

std::string_view Name(Cause cause) {
  constexpr std::array<std::string_view, 15> kNames = {
      "double_quantization",  "stacked_scale",       "unsigned_on_signed", "clipping",
      "scale_mismatch",       "zero_point_mismatch", "channel_outliers",   "head_dim_scale",
      "head_layout",          "narrow_multiplier",   "variance_underflow", "norm_eps",
      "calibration_coverage", "too_few_bits",        "unexplained"};
  return kNames[static_cast<std::size_t>(cause)];
}

}  // namespace qsim::diagnose
