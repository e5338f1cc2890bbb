// Operations made anew: the integers that an operation should have, from the float weights and from
// the scales that a bundle states for the tensors around it. What an operation's own integers are
// compared with, and how a fault of one is mended. docs/causes.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/calibrate/lower/program_builder.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim {

// The grid of a tensor: one scale and zero point, or one for each channel (scores: head).
struct StatedGrid {
  QuantRange range;
  std::vector<double> scale;
  std::vector<std::int32_t> zero;
};

// A tensor's scale as a bundle states it, one entry for each channel of the last axis (scores and
// their accumulators: for each head).
Activation StatedActivation(const Bundle& bundle, const std::string& tensor);

// The operation that computes a tensor, and those that read it; null or empty where there is none.
Op* ProducerOf(Program& program, const std::string& tensor);
const Op* ProducerOf(const Program& program, const std::string& tensor);
std::vector<std::string> ReadersOf(const Program& program, const std::string& tensor);

class Relowering {
 public:
  // The model must outlive this. The inputs name the mean and deviation of the pixels.
  Relowering(const network::Network& model, const ModelInputs& inputs);

  // The float layer that a linear operation stands for, that of the patches on pixels / 255.
  // Throws InternalError where the model has none.
  network::Linear LayerOf(const std::string& tap) const;

  // Makes the operation that computes `tap` anew from the scales that the bundle states. A linear
  // layer's weights are quantized with the scales of its accumulator. Throws InputError where a
  // ratio of scales has no multiplier.
  void Remake(const std::string& tap, Bundle& bundle) const;

  // Quantizes a linear layer anew, each output channel with the scale of its own weights, and
  // remakes what reads it.
  void RemakeLinear(const std::string& tap, Bundle& bundle) const;
  // The same from other float weights, or with other scales for the output channels.
  void RemakeLinear(const std::string& tap, const network::Linear& layer,
                    const std::vector<double>& scale, Bundle& bundle) const;

  // Gives a tensor another grid, and remakes what computes and what reads it. The scores' scale is
  // raised to the next that the softmax takes.
  void Rescale(const std::string& tensor, StatedGrid grid, Bundle& bundle) const;

 private:
  void Remake(GemmOp& op, const network::Linear& layer, const std::vector<double>& scale,
              Bundle& bundle) const;
  void Remake(GemmOp& op, Bundle& bundle) const;
  void Remake(MatmulOp& op, Bundle& bundle) const;
  void Remake(RequantizeOp& op, Bundle& bundle) const;
  void Remake(SoftmaxOp& op, Bundle& bundle) const;
  void Remake(LayernormOp& op, Bundle& bundle) const;
  void Remake(ResidualAddOp& op, Bundle& bundle) const;
  void Remake(EmbedOp& op, Bundle& bundle) const;
  void Remake(GeluOp& op, Bundle& bundle) const;
  // Those whose integers no lowering of a family makes.
  template <Operation Other>
  void Remake(Other&, Bundle&) const {}
  std::vector<double> OwnScales(const GemmOp& op, const network::Linear& layer,
                                const Bundle& bundle) const;

  const network::Network& model_;
  std::vector<double> mean_, stddev_;
};

}  // namespace qsim
