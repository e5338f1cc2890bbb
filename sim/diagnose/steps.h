// The quantization steps of a network, as an engineer counts them, and its output.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/diagnose/output_power.h"
#include "sim/semantics/mixed.h"

namespace qsim::diagnose {

// An input that is quantized, or an operation; a product of two tensors counts together with its
// requantization. What holds pixels as they are is no step.
struct Step {
  std::string tensor;              // the output
  std::vector<std::size_t> nodes;  // ascending
};
std::vector<Step> StepsOf(const MixedExecutor& network);

// The tensors a step reads that it does not compute.
std::vector<std::string> ReadsOf(const MixedExecutor& network, const Step& step);

// The step exact and golden, both from the float network's values on their grids.
struct AloneTensors {
  std::shared_ptr<const MixedTensor> exact, golden;
};
AloneTensors RunAlone(const MixedExecutor& network, const Step& step, const MixedState& exact);

// How many products the program's matrix products sum for one image, in a run of this length; 0:
// the longest.
std::int64_t MacsOf(const Program& program, std::int64_t length = 0);

// What reaches the output in place of what should.
class OutputMeter {
 public:
  OutputMeter(const MixedExecutor& network, const ModelInputs& inputs);

  // No power yet.
  OutputPower Zero() const { return OutputPower(tensors_); }
  // One image: the output of `state`, and where it has none that of `base`, against `exact`.
  OutputPower Of(std::int64_t image, const MixedState& exact, const MixedState& state,
                 const MixedState& base) const;

 private:
  std::vector<std::string> tensors_;
  const std::vector<std::int64_t>& labels_;
  std::string classes_;  // the tensor that tells them apart; empty: none does
};

}  // namespace qsim::diagnose
