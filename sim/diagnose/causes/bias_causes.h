// A linear layer's biases, and what was made of the statistics of pixels, beside the float model's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/diagnose/causes/kinship.h"
#include "sim/diagnose/causes/weight_fit.h"
#include "sim/diagnose/finding.h"

namespace qsim::diagnose {

struct Story {
  Cause cause = Cause::kUnexplained;
  std::string text;
  std::vector<Evidence> evidence = {};
};

// What is wrong with biases that are. `others`: those of the model's other layers.
Story ExplainBiases(const WeightFit& fit, const Places& places, const std::vector<Foreign>& others);

// The layer of the patches, made for pixels of another mean and deviation than the images have.
// Nothing where that does not explain its weights and biases.
std::optional<Story> ExplainStatistics(const WeightFit& fit, const ImageInputs& images);

}  // namespace qsim::diagnose
