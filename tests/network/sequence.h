// A small network that carries state: everything that the families of language models are made of,
// in one block. Tokens; a gated recurrence whose queries share states and whose keys decay by
// channel; behind a convolution one whose decays belong to heads, with a skip, ahead of a norm of
// groups; a gated product; logits. Random weights.
#pragma once

#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/config/config.h"
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

// That network in W8A8, with `settings` on top.
struct SequenceSubjects {
  network::Network model = Sequence::Build();
  ModelInputs calibration = Sequence::Inputs(12, 40, 2);
  ModelInputs evaluation = Sequence::Inputs(3, 48, 3);

  Config ConfigWith(const std::vector<std::string>& settings) const;
  Bundle Calibrated(const Config& config) const;
  Bundle BundleOf(const std::vector<std::string>& settings) const {
    return Calibrated(ConfigWith(settings));
  }
};
const SequenceSubjects& TheSequence();

}  // namespace qsim::testing
