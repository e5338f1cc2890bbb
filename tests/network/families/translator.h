// A family of networks that is no vision transformer: an encoder and a decoder that reads it, each
// with an input of its own length; norms behind the sums; masked scores; ReLU; no class token and
// no blocks. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, figure 1, with one layer on
// either side and random weights. docs/architecture.md, "Adding a family".
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "tests/namespaces.h"

namespace qsim::testing {

struct Translator {
  static constexpr std::int64_t kChannels = 24, kHeads = 3, kHidden = 40, kWords = 11;
  static constexpr std::int64_t kSource = 7, kTarget = 5;  // tokens

  static network::Network Build(std::uint64_t seed = 1);
  // Embeddings of `count` pairs of sequences.
  static ModelInputs Inputs(std::int64_t count, std::uint64_t seed);
};

}  // namespace qsim::testing
