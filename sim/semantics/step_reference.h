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
#include "sim/network/vit_model.h"

namespace qsim {

// The real values of a tensor of the program, by name.
using RealTensors = std::function<FloatTensor(const std::string& tensor)>;

class StepReference {
 public:
  // `mean` and `stddev` of the images; empty for token inputs. Bundle and model must outlive this
  // object.
  StepReference(const Bundle& bundle, const VitModel& model, std::vector<double> mean,
                std::vector<double> stddev);

  // The real output of one operation of the program for one image, from the dequantized inputs in
  // `values`, in the storage order of its output. Empty for pure data movement.
  std::vector<float> Output(const Op& op, const TensorMap& values) const;
  // The same from inputs that need not be on any grid.
  std::vector<float> Output(const Op& op, const RealTensors& real) const;

  // The float layer that a GEMM or a layer norm stands for, by its output; null where the model has
  // none.
  const Linear* LinearOf(const std::string& output) const;
  const Norm* NormOf(const std::string& output) const;

 private:
  std::vector<float> Of(const GemmOp& op, const RealTensors& real) const;
  std::vector<float> Of(const MatmulOp& op, const RealTensors& real) const;
  std::vector<float> Of(const RequantizeOp& op, const RealTensors& real) const;
  std::vector<float> Of(const SoftmaxOp& op, const RealTensors& real) const;
  std::vector<float> Of(const LayernormOp& op, const RealTensors& real) const;
  std::vector<float> Of(const GeluOp& op, const RealTensors& real) const;
  std::vector<float> Of(const ResidualAddOp& op, const RealTensors& real) const;
  std::vector<float> Of(const EmbedOp& op, const RealTensors& real) const;
  std::vector<float> Of(const AddOp& op, const RealTensors& real) const;
  std::vector<float> Of(const PatchifyOp& op, const RealTensors& real) const;

  const Bundle& bundle_;
  const VitModel& model_;
  std::vector<double> mean_, stddev_;
  std::map<std::string, const Linear*> linears_;  // by output
  std::map<std::string, const Norm*> norms_;      // by output
};

}  // namespace qsim
