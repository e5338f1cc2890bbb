// The quantization steps of a network, as an engineer counts them, and its output.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/semantics/mixed.h"
#include "sim/diagnose/noise.h"

namespace qsim {

// An input that is quantized, or an operation; the products of Q and K, and of attention and V,
// together with their requantization. Pure data movement is no step.
struct Step {
  std::string tensor;              // the output: "blocks.0.attn_kv_out"
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

// How many products the program's matrix products sum for one image.
std::int64_t MacsOf(const Program& program);

// Heads of a tensor: planes of scores and probabilities, groups of columns of Q, K, V and the
// attention output; 1 for any other tensor.
std::size_t HeadsOf(const std::string& tensor, std::size_t heads);
std::size_t HeadOfElement(const Shape& shape, std::size_t heads, std::size_t element);

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
};

}  // namespace qsim
