// A small network that carries state: everything that the families of language models are made of,
// in one block. Tokens; a gated recurrence whose queries share states and whose keys decay by
// channel; behind a convolution one whose decays belong to heads, with a skip, ahead of a norm of
// groups; a gated product; logits. Random weights.
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"
#include "tests/namespaces.h"

namespace qsim::testing {

struct Sequence {
  static constexpr std::int64_t kVocabulary = 13, kChannels = 12, kLongest = 64;

  static network::Network Build(std::uint64_t seed = 1);
  // Ids of `count` sequences of one length.
  static ModelInputs Inputs(std::int64_t count, std::int64_t length, std::uint64_t seed);
};

}  // namespace qsim::testing
