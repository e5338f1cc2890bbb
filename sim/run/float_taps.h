// The float reference of one image, computed as far as it is asked for.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/semantics/float_reference.h"
#include "sim/network/vit_model.h"

namespace qsim {

// The float side of a run: what the integers are measured against.
struct FloatSource {
  const VitModel& model;
  const ModelInputs& inputs;
};

// The float tensor that an integer one stands for: accumulators and optional int8 steps have their
// tap's.
std::string FloatNameOf(std::string tensor);

// Tensors must be asked for in the order of the network: the embedding's, each block's, the head's.
// Only those of the part that was asked for last are kept.
class FloatTaps {
 public:
  // `wanted`: the float names that may be asked for; must outlive this.
  FloatTaps(const FloatSource& source, std::int64_t image, const std::set<std::string>& wanted)
      : source_(source), reference_(source.model), image_(image), wanted_(wanted) {}

  // Null when the float reference has no such tensor: pixels and their patches.
  const FloatTensor* Find(const std::string& name);

 private:
  void ComputePart(std::int64_t part);

  FloatSource source_;
  FloatReference reference_;
  std::int64_t image_;
  const std::set<std::string>& wanted_;
  std::int64_t part_ = -1;  // the last one computed: 0 the embedding, n + 1 block n, then the head
  FloatTensor x_;           // the residual stream behind it
  std::map<std::string, FloatTensor> taps_;
};

// One program input for one image: pixels as they are, activations quantized. *saturated, if not
// null, is increased by the number of elements that the clamp changed.
IntTensor ProgramInput(const Bundle& bundle, const FloatSource& source, std::int64_t image,
                       const std::string& name, FloatTaps& taps, std::int64_t* saturated = nullptr);

// One image out of a tensor with an image axis.
IntTensor SliceImage(const IntTensor& stacked, std::int64_t image);

}  // namespace qsim
