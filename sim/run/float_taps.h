// The float reference of one image, computed as far as it is asked for.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "sim/semantics/float_run.h"

namespace qsim::run {

// The float side of a run: what the integers are measured against.
struct FloatSource {
  const network::Network& model;
  const ModelInputs& inputs;
};

// Tensors must be asked for in the order of the network's parts. Only those of the part that was
// asked for last are kept.
class FloatTaps {
 public:
  // `wanted`: the nodes whose tensors may be asked for; must outlive this.
  FloatTaps(const FloatSource& source, std::int64_t image, const std::set<std::string>& wanted)
      : run_(source.model),
        state_(run_.Begin(source.inputs, image)),
        wanted_(wanted) {}

  // The float tensor of a node; null for null, and where integers stand for something else: pixels
  // and their patches.
  const FloatTensor* Find(const network::Node* node);

 private:
  FloatRun run_;
  FloatRun::State state_;  // behind the last part that was computed
  const std::set<std::string>& wanted_;
  int part_ = -1;  // the last one computed
  std::map<std::string, FloatTensor> taps_;
};

// One program input for one image: pixels as they are, activations quantized. *saturated, if not
// null, is increased by the number of elements that the clamp changed.
IntTensor ProgramInput(const Bundle& bundle, const FloatSource& source, std::int64_t image,
                       const std::string& name, FloatTaps& taps, std::int64_t* saturated = nullptr);

// One image out of a tensor with an image axis.
IntTensor SliceImage(const IntTensor& stacked, std::int64_t image);

}  // namespace qsim::run
