// The float reference of one image, or of a piece of a sequence, computed as far as it is asked
// for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "sim/bundle/bundle.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "sim/run/pieces.h"
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
  // `wanted`: the nodes whose tensors may be asked for; must outlive this. `carried`: what the
  // piece before has left.
  FloatTaps(const FloatSource& source, std::int64_t image, const std::set<std::string>& wanted,
            const Piece& piece = {}, FloatRun::State carried = {});

  // The float tensor of a node; null for null, and where integers stand for something else: pixels
  // and their patches.
  const FloatTensor* Find(const network::Node* node);
  // What is left for the next piece; nothing may be asked for behind it.
  FloatRun::State Carried();

 private:
  void Compute(int part);

  int parts_ = 0;
  FloatRun run_;
  FloatRun::State state_;  // behind the last part that was computed
  const std::set<std::string>& wanted_;
  int part_ = -1;  // the last one computed
  std::map<std::string, FloatTensor> taps_;
};

// Pixels or ids, which are integers already; nothing for any other input.
std::optional<IntTensor> GivenInput(const Bundle& bundle, const FloatSource& source,
                                    std::int64_t image, const std::string& name,
                                    const Piece& piece = {});
// One program input for one image or piece, which `taps` are of: pixels and ids as they are,
// activations quantized. *saturated, if not null, is increased by the number of elements that the
// clamp changed.
IntTensor ProgramInput(const Bundle& bundle, const FloatSource& source, std::int64_t image,
                       const std::string& name, FloatTaps& taps, std::int64_t* saturated = nullptr,
                       const Piece& piece = {});

}  // namespace qsim::run
