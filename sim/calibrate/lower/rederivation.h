// Operations derived again: the integers that an operation should have, from the float weights and
// from the grids that a bundle states around it. What an operation's own integers are compared
// with, and how a fault of one is mended. docs/causes.md.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/calibrate/lower/lowering.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::calibrate {

class Rederivation {
 public:
  // The model must outlive this. The inputs name the mean and deviation of the pixels.
  Rederivation(const network::Network& model, const ModelInputs& inputs);

  // The float layer that a linear operation stands for, that of the patches on pixels / 255.
  // Throws InternalError where the model has none.
  network::Linear LayerOf(const std::string& tap) const;

  // The operations that compute these tensors, in place. An accumulator of activations gets the
  // scale that its operands give it; a layer keeps the scales of its weights. Throws InputError
  // where a ratio of scales has no multiplier; `skip`: leaves such an operation as it is.
  void Derive(const std::vector<std::string>& tensors, Bundle& bundle, bool skip = false) const;

  // Quantizes a linear layer anew, each output channel with the scale of its own weights, and
  // derives what reads it.
  void Requantize(const std::string& tap, Bundle& bundle) const;
  // The same from other float weights, or with other scales for the output channels.
  void Requantize(const std::string& tap, const network::Linear& layer,
                  const std::vector<double>& scale, Bundle& bundle) const;

  // Gives a tensor another grid, of one scale and zero point or one for each channel, and derives
  // what computes and what reads it. The scores' scale is raised to the next that the softmax
  // takes.
  void Regrid(Activation grid, Bundle& bundle) const;

 private:
  class Session;

  const network::Network& model_;
  InputSource source_;
};

}  // namespace qsim::calibrate
