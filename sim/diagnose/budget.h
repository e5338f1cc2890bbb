// Where the output's noise comes from: causes replaced by their exact version, one after the other.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/semantics/mixed.h"
#include "sim/diagnose/noise.h"

namespace qsim {

// In the order in which they are replaced: the large ones first, so that the small ones are
// measured in a network that has little other noise.
enum class LossCause : std::uint8_t {
  kWeights,      // weights and biases as integers
  kActivations,  // rounding of every other tensor but the residual stream
  kClipping,     // values outside a tensor's range, saturating accumulators
  kSoftmax,      // the integer softmax's approximation
  kLayernorm,    // the integer layer norm's
  kGelu,         // the integer GELU's
  kMultipliers,  // scale ratios as multiplier and shift
  kResidual,     // rounding of the residual stream
};
inline constexpr int kLossCauses = 8;
std::string_view Describe(LossCause cause);  // "8-bit rounding of weights", ...

// Noise is relative to the signal: OutputPower::Ratio().
struct LossEntry {
  LossCause cause = LossCause::kWeights;
  double noise = 0;   // what the replacement in order takes away; may be negative
  double first = 0;   // the same when it is the first to be replaced
  double last = 0;    // the same when it is the last: the noise of this cause alone
  OutputPower after;  // the output once it is replaced, in order
};

// The entries and the remainder add up to the total by construction.
struct LossBudget {
  OutputPower total;
  std::vector<LossEntry> entries;  // one for each cause, in order
  double remainder = 0;            // the fully exact network against float: next to nothing
};

LossBudget MeasureBudget(const MixedExecutor& network, const ModelInputs& inputs, int threads);

}  // namespace qsim
