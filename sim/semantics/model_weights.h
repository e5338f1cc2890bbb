// What the float model has for the operations of a program, by the names of their outputs. The one
// place of the mixed executor that knows the network.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim {

// (x - mean[c]) / deviation[c] for each channel c of an image.
struct PixelScale {
  std::span<const double> mean, deviation;
};

class ModelWeights {
 public:
  // Both must outlive this.
  ModelWeights(const network::Network& model, const ModelInputs& inputs);

  // The layer that computes a tensor; null where the model has none.
  const network::Linear* LinearOf(const std::string& output) const;
  const network::Norm* NormOf(const std::string& output) const;
  // What a linear layer's input passes first: empty but for the patches of an image.
  PixelScale PixelsBefore(const std::string& output) const;
  // What is added to the patches, and in row 0 all of it: [tokens, channels].
  FloatTensor PositionsOf(const std::string& output) const;

  std::int64_t heads() const { return model_.heads; }
  Shape StreamShape() const { return {model_.input.tokens, model_.input.dim}; }
  const ModelInputs& inputs() const { return inputs_; }

  // A program's inputs for one image before they are quantized; pixels are codes already.
  using Input = std::variant<FloatTensor, IntTensor>;
  std::map<std::string, Input> InputsOf(const std::vector<std::string>& names,
                                        std::int64_t image) const;

 private:
  const network::Network& model_;
  const ModelInputs& inputs_;
};

}  // namespace qsim
