// What a diagnosis is made of: a subject, suspicions with evidence, and repairs that can be tried.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/config/config.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::diagnose {

class BaseRuns;

// What is diagnosed: an integer program, the float model it stands for, and the inputs on which
// the two are compared. Everything outlives the diagnosis.
struct DiagnosisSubject {
  const network::Network& model;
  const Bundle& bundle;
  const ModelInputs& inputs;                 // evaluation inputs
  const Config* config = nullptr;            // null for a bundle that came without one
  const ModelInputs* calibration = nullptr;  // null where there is none
  // Runs of the inputs whose floats are this model's; null where there are none yet.
  const BaseRuns* runs = nullptr;
  // Most of the output's noise is clipped values: they are looked at whatever their share.
  bool clipping_dominates = false;
};

// The causes that have a name. The rest is kUnexplained: the operation is known, the reason not.
enum class Cause : std::uint8_t {
  kDoubleQuantization,   // a weight that was quantized already is quantized again
  kStackedScale,         // one scale over Q, K and V
  kUnsignedOnSigned,     // an unsigned type on signed data: negative values are lost
  kClipping,             // a range far narrower than the data
  kScaleMismatch,        // a scale or multiplier that does not belong to its tensor
  kZeroPointMismatch,    // the same of a zero point or a bias
  kConstants,            // weights, biases or constants that are not this operation's
  kTable,                // a table of another function, or for another scale
  kPositions,            // positions that are missing, or in another order
  kStaleWeights,         // a bundle of other weights
  kOverflow,             // accumulators that are too narrow
  kGateSaturates,        // a gate whose values are beyond its range
  kChannelOutliers,      // scales, per channel or not, that chase outliers
  kSmallProbabilities,   // a softmax whose probabilities are below half a step of its output
  kHeadDimScale,         // a wrong 1/sqrt(head_dim)
  kHeadLayout,           // heads or channels transposed or permuted
  kNarrowMultiplier,     // multipliers of too few bits
  kVarianceUnderflow,    // a normalisation whose integer variance is almost nothing
  kNormEps,              // a normalisation without its eps, or with another one
  kCalibrationCoverage,  // calibration data that do not cover the inputs
  kTooFewBits,           // a type too narrow for its tensor
  kWrongInput,           // an operation that reads other tensors than the network's
  kInitialState,         // what is carried to a first piece does not stand for zeros
  kStateSaturates,       // a recurrence's state that is clamped to its width
  kDecayRoundsToOne,     // decays whose steps are so coarse that a state never forgets
  kUnexplained,
};
std::string_view Name(Cause cause);  // "double_quantization", ...

// One number that speaks for a cause: {"range ratio", 6.1, "x"}.
struct Evidence {
  std::string name;
  double value = 0;
  std::string unit;  // "dB", "%", "x" or empty
};

// Something that can be tried: settings, after which the model is calibrated again, or a change of
// the bundle itself, for faults that no setting can mend.
struct Repair {
  std::string text;                            // one line, as an engineer would say it
  std::vector<std::string> settings;           // "blocks.0.KEY.bit_type.bits=8"
  std::function<void(Bundle& bundle)> change;  // empty where there are settings
};

// A configuration with settings; nullopt where it has no such setting.
std::optional<Config> WithSettings(Config config, const std::vector<std::string>& settings);

struct Suspicion {
  Cause cause = Cause::kUnexplained;
  std::string tensor;  // the output of the operation at fault
  std::string text;    // one line: what is wrong
  std::vector<Evidence> evidence;
  std::vector<Repair> repairs;  // the most promising first
};

}  // namespace qsim::diagnose
