// The names of tensors and weights that belong to a block.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qsim::text {

// "blocks.3.scores": number 3, block "blocks.3", rest "scores"; "layers.3.mlp" alike. Any other
// name has number -1, an empty block, and is its own rest.
struct BlockName {
  std::int64_t number = -1;
  std::string block, rest;
};
BlockName SplitBlock(std::string_view name);

}  // namespace qsim::text
