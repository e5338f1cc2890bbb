// The loss of one step alone: the exact float operation with the float weights, applied to what the
// integer program really fed it. Beside the accumulated loss it tells which operation lost the
// accuracy.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/calibrate/bundle.h"
#include "sim/model/vit_model.h"

namespace qsim {

class StepReference {
 public:
  // `mean` and `stddev` of the images; empty for token inputs. Bundle and model must outlive this
  // object.
  StepReference(const Bundle& bundle, const VitModel& model, std::vector<double> mean,
                std::vector<double> stddev);

  // The real output of one operation of the program for one image, from the dequantized inputs in
  // `values`, in the storage order of its output. Empty for pure data movement.
  std::vector<float> Output(const Op& op, const TensorMap& values) const;

 private:
  FloatTensor Real(const std::string& tensor, const TensorMap& values) const;
  std::vector<float> Of(const GemmOp& op, const TensorMap& values) const;
  std::vector<float> Of(const MatmulOp& op, const TensorMap& values) const;
  std::vector<float> Of(const RequantizeOp& op, const TensorMap& values) const;
  std::vector<float> Of(const SoftmaxOp& op, const TensorMap& values) const;
  std::vector<float> Of(const LayernormOp& op, const TensorMap& values) const;
  std::vector<float> Of(const GeluOp& op, const TensorMap& values) const;
  std::vector<float> Of(const ResidualAddOp& op, const TensorMap& values) const;
  std::vector<float> Of(const EmbedOp& op, const TensorMap& values) const;
  std::vector<float> Of(const AddOp& op, const TensorMap& values) const;
  std::vector<float> Of(const PatchifyOp& op, const TensorMap& values) const;

  const Bundle& bundle_;
  const VitModel& model_;
  std::vector<double> mean_, stddev_;
  std::map<std::string, const Linear*> linears_;  // by output
  std::map<std::string, const Norm*> norms_;      // by output
};

}  // namespace qsim
