// A bundle of the program from token ids to logits, with sequences of given lengths.
#pragma once

#include <algorithm>
#include <vector>

#include "sim/bundle/bundle.h"
#include "tests/program/token_program.h"

namespace qsim::testing {

inline Bundle TokenBundle(const std::vector<std::int64_t>& lengths) {
  Bundle bundle;
  bundle.program = TokenProgram(5);
  Validate(bundle.program);
  for (const TensorInfo& info : bundle.program.tensors)
    bundle.scales[info.name] = {TensorScale::Kind::kLinear, ChannelAxis::kNone, {0.25}, {0}};
  const auto images = static_cast<std::int64_t>(lengths.size());
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  IntTensor tokens(DType::kInt8, {images, longest});
  SeededRandom random;
  for (std::int64_t i = 0; i < images; ++i) {
    for (std::int64_t t = 0; t < lengths[static_cast<std::size_t>(i)]; ++t) {
      tokens.As<std::int8_t>()[static_cast<std::size_t>(i * longest + t)] =
          static_cast<std::int8_t>(random.Between(0, kVocabulary - 1));
    }
  }
  bundle.inputs["tokens"] = std::move(tokens);
  bundle.lengths = lengths;
  return bundle;
}

}  // namespace qsim::testing
