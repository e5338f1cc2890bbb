// The loss of one step alone: the exact float operation with the float weights, applied to what the
// integer program really fed it. Beside the accumulated loss it tells which operation lost the
// accuracy.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/bundle/bundle.h"
#include "sim/network/network.h"

namespace qsim {

// The real values of a tensor of the program, by name.
using RealTensors = std::function<FloatTensor(const std::string& tensor)>;

class StepReference {
 public:
  // `mean` and `stddev` of the images; empty for token inputs. Bundle and model must outlive this
  // object.
  StepReference(const Bundle& bundle, const network::Network& model, std::vector<double> mean,
                std::vector<double> stddev);

  // The real output of one operation of the program for one image, from the dequantized inputs in
  // `values`, in the storage order of its output. Empty for pure data movement.
  std::vector<float> Output(const Op& op, const TensorMap& values) const;
  // The same from inputs that need not be on any grid.
  std::vector<float> Output(const Op& op, const RealTensors& real) const;

  // The float layer that a GEMM or a layer norm stands for, by its output; null where the model has
  // none.
  const network::Linear* LinearOf(const std::string& output) const;
  const network::Norm* NormOf(const std::string& output) const;

 private:
  FloatTensor Input(const Op& op, const network::Node& node, std::size_t index,
                    const RealTensors& real) const;

  const Bundle& bundle_;
  const network::Network& model_;
  std::vector<double> mean_, stddev_;
};

}  // namespace qsim
