// What a configuration says about one tensor, about the hardware and about the arithmetic, fully
// resolved.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "golden/ops/gelu.h"
#include "golden/ops/gemm.h"
#include "golden/ops/layernorm.h"
#include "golden/ops/requantize.h"
#include "golden/ops/rounding.h"
#include "golden/ops/softmax.h"
#include "sim/namespaces.h"

namespace qsim::config {

enum class CalibrationMode : std::uint8_t { kLayerWise, kChannelWise, kHeadWise };
constexpr auto NamesOf(CalibrationMode /*enum*/) {
  return std::to_array<NamedValue<CalibrationMode>>({
      {CalibrationMode::kLayerWise, "layer_wise"},
      {CalibrationMode::kChannelWise, "channel_wise"},
      {CalibrationMode::kHeadWise, "head_wise"},
  });
}

enum class ObserverKind : std::uint8_t {
  kMinmax,
  kPercentile,
  kEma,
  kOmse,
  kKl,
  kPtf,
  kHistogramPercentile,
  kHistogramKl,
  kHistogramOmse,
};
constexpr auto NamesOf(ObserverKind /*enum*/) {
  return std::to_array<NamedValue<ObserverKind>>({
      {ObserverKind::kMinmax, "MinmaxObserver"},
      {ObserverKind::kPercentile, "PercentileObserver"},
      {ObserverKind::kEma, "EmaObserver"},
      {ObserverKind::kOmse, "OmseObserver"},
      {ObserverKind::kKl, "KLObserver"},
      {ObserverKind::kPtf, "PtfObserver"},
      {ObserverKind::kHistogramPercentile, "HistogramPercentileObserver"},
      {ObserverKind::kHistogramKl, "HistogramKLObserver"},
      {ObserverKind::kHistogramOmse, "HistogramOmseObserver"},
  });
}

enum class QuantMethod : std::uint8_t { kUniform, kLog2 };
// Older files say Affine for Uniform.
constexpr auto NamesOf(QuantMethod /*enum*/) {
  return std::to_array<NamedValue<QuantMethod>>({
      {QuantMethod::kUniform, "Uniform"},
      {QuantMethod::kLog2, "Log2"},
      {QuantMethod::kUniform, "Affine"},
  });
}

enum class RequantMode : std::uint8_t { kMultiplier, kPowerOfTwo };
constexpr auto NamesOf(RequantMode /*enum*/) {
  return std::to_array<NamedValue<RequantMode>>({
      {RequantMode::kMultiplier, "multiplier"},
      {RequantMode::kPowerOfTwo, "power_of_two"},
  });
}

enum class WeightGranularity : std::uint8_t { kPerTensor, kPerChannel };
constexpr auto NamesOf(WeightGranularity /*enum*/) {
  return std::to_array<NamedValue<WeightGranularity>>({
      {WeightGranularity::kPerTensor, "per_tensor"},
      {WeightGranularity::kPerChannel, "per_channel"},
  });
}

// How weights become integers: each to the nearest code, or so that the errors of an output channel
// cancel. docs/numerics.md section 3.9.
enum class WeightRounding : std::uint8_t { kNearest, kSquant };
constexpr auto NamesOf(WeightRounding /*enum*/) {
  return std::to_array<NamedValue<WeightRounding>>({
      {WeightRounding::kNearest, "nearest"},
      {WeightRounding::kSquant, "squant"},
  });
}

struct Section {
  CalibrationMode calibration_mode = CalibrationMode::kLayerWise;
  int bits = 8;                 // 2..16
  bool is_signed = true;        // [-2^(n-1), 2^(n-1) - 1], else [0, 2^n - 1]
  bool has_zero_point = false;  // false: the zero point is 0 ("symmetric")
  ObserverKind observer = ObserverKind::kMinmax;
  QuantMethod method = QuantMethod::kUniform;  // kLog2 on softmax outputs only
  double percentile_alpha = 0.9995;            // (0.5, 1]
  double percentile_sigma = 0.1;               // (0, 1], weight of a new batch
  int kl_bins = 2048;                          // 16..2^20
  double smooth = 0;             // 0..1: the exponent of smoothing; 0: none. docs/numerics.md 3.7
  double outlier_channels = 0;   // 0..1: the share of channels with factors of their own; likewise
  bool bias_correction = false;  // weights only
  WeightRounding rounding = WeightRounding::kNearest;  // weights only
  bool enable_profiler = false;
  bool output_quant_enable = false;  // linear outputs only
  std::string origin =
      "default";  // "attn_config.yaml:12", "--set" or "default": the most specific source

  // Whether channels have factors that the layers behind them absorb.
  bool Smooths() const { return smooth != 0 || outlier_channels != 0; }
};

// Static W8A8: every weight and activation 8 bits, from one key.
struct W8a8 {
  WeightGranularity granularity = WeightGranularity::kPerChannel;  // of a weight's scales
  bool a_symmetric = false;                                        // else with a zero point
  bool w_symmetric = true;
  // Of tensors that no product reads and that are wider than 8 bits by default, 8..16; absent: as
  // wide as that.
  std::optional<int> wide_bits = {};
  ObserverKind observer = ObserverKind::kMinmax;  // of activations
  double percentile_alpha = 0.9995;
  double smooth = 0;  // of tensors whose factors the layers behind them absorb
};

struct Hardware {
  int array_rows = 16;       // 1..256
  int array_cols = 16;       // 1..256
  Accumulator acc;           // acc_bits 16..32, acc_policy
  int multiplier_bits = 16;  // 2..31
  RequantMode requant = RequantMode::kMultiplier;
  std::optional<int> residual_bits;  // 8 or 16: of the whole residual stream, whatever sections say
  int state_bits = 24;               // 16..32, of a recurrence's state
};

// How a requantize step rounds: qsim's own formula with a rounding, or a published scheme, whose
// rounding is its own. The last step of layer norms and GELUs, on wider integers than a published
// scheme takes, uses `rounding` in either case.
struct RequantRule {
  RequantScheme scheme = RequantScheme::kRoundShift;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const RequantRule&) const = default;
};

// "half_up", ... of the default scheme, or "tflite_double", ...
using golden::Name;
std::string_view Name(const RequantRule& rule);
std::optional<RequantRule> RequantRuleFromName(std::string_view name);
const std::vector<std::string>& RequantRuleNames();

// Whether the integers of a normalisation hold the eps of its function. docs/numerics.md section
// 6.10.
enum class LayernormEps : std::uint8_t { kAdd, kIgnore };
constexpr auto NamesOf(LayernormEps /*enum*/) {
  return std::to_array<NamedValue<LayernormEps>>({
      {LayernormEps::kAdd, "add"},
      {LayernormEps::kIgnore, "ignore"},
  });
}

// How a real number becomes an integer at the boundary, docs/numerics.md section 1: the zero point
// joins before the rounding or behind it.
enum class QuantizeRule : std::uint8_t { kZeroThenHalfEven, kHalfEvenThenZero, kHalfAwayThenZero };
constexpr auto NamesOf(QuantizeRule /*enum*/) {
  return std::to_array<NamedValue<QuantizeRule>>({
      {QuantizeRule::kZeroThenHalfEven, "zero_then_half_even"},
      {QuantizeRule::kHalfEvenThenZero, "half_even_then_zero"},
      {QuantizeRule::kHalfAwayThenZero, "half_away_then_zero"},
  });
}

struct Numerics {
  Rounding rounding = Rounding::kHalfUp;  // the default of the two below
  RequantRule requantize;
  Rounding residual_add = Rounding::kHalfUp;
  SoftmaxKind softmax = SoftmaxKind::kIbertRn;
  SoftmaxDivision softmax_division = SoftmaxDivision::kBefore;
  LayernormKind layernorm = LayernormKind::kIbert;
  LayernormEps layernorm_eps = LayernormEps::kAdd;  // of RMS norms as well
  GeluKind gelu = GeluKind::kTable;
  QuantizeRule quantize = QuantizeRule::kZeroThenHalfEven;
  Rounding recurrence =
      Rounding::kHalfUp;     // of both terms of a state's update, and of what reads it
  int recurrence_chunk = 0;  // rows of a chunk, 1..256; 0: the recurrence itself
};

}  // namespace qsim::config
