// The float executor: a network on one input, part by part, with the tensor names of the program.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sim/inputs/manifest.h"
#include "sim/io/tensors/float_tensor.h"
#include "sim/network/network.h"

namespace qsim::semantics {

class FloatRun {
 public:
  // Receives each node's tensor as it is computed.
  using Sink = std::function<void(const network::Node& node, const FloatTensor& value)>;

  // The network must outlive this.
  explicit FloatRun(const network::Network& network);

  // Tensors that exist, by node.
  using State = std::map<std::string, FloatTensor, std::less<>>;

  // The inputs of the network for one input of the model. Tokens may be of another length than the
  // program's; a network that takes images takes embeddings behind its patches. `carried`: what the
  // piece of a sequence before this one left (Carried); what is absent is zeros.
  State Begin(const ModelInputs& inputs, std::int64_t image, State carried = {}) const;

  // Computes the nodes of a part, in order, and keeps what a later part reads. The parts before it
  // have been computed. `sink` may be empty.
  void Part(int part, State& state, const Sink& sink) const;

  // What is left behind the last part, for the next piece.
  State Carried(State state) const;

 private:
  const network::Network& network_;
  std::map<std::string, int, std::less<>> last_part_;  // that reads a node
};

}  // namespace qsim::semantics
