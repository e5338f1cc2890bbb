#include "sim/diagnose/tensor_key.h"

#include <fmt/format.h>

#include "sim/text/block_name.h"

namespace qsim {

std::optional<TensorKey> KeyOfTensor(const Sections& sections, const std::string& tensor) {
  const BlockName name = SplitBlock(tensor);
  int block = static_cast<int>(name.number);
  // The stream that enters a block is its predecessor's.
  const bool enters = block >= 0 && name.rest == "input";
  if (enters) --block;
  for (const SectionKind& kind : sections) {
    const bool decides = enters ? kind.enters_block : kind.tensor == name.rest;
    if (!decides || kind.tensor.empty() || kind.is_per_block != (block >= 0)) continue;
    return TensorKey{kind.key, block,
                     block < 0 ? kind.key : fmt::format("blocks.{}.{}", block, kind.key)};
  }
  return std::nullopt;
}

}  // namespace qsim
