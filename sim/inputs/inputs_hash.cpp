#include "sim/inputs/inputs_hash.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/namespaces.h"

namespace qsim::inputs {

void AddTo(Sha256& hash, const ModelInputs& inputs) {
  const auto add = [&](const Shape& shape, const auto& values) {
    hash.Update(fmt::format("\n{} ", fmt::join(shape, "x")));
    hash.Update(values.data(), values.size() * sizeof(values[0]));
  };
  if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
    add(images->pixels.shape(), images->pixels.As<std::uint8_t>());
    hash.Update(
        fmt::format("\n{} {}", fmt::join(images->mean, ","), fmt::join(images->stddev, ",")));
  }
  if (const auto* tokens = std::get_if<TokenInputs>(&inputs.data)) {
    add(tokens->ids.shape(), tokens->ids.As<std::int32_t>());
    hash.Update(fmt::format("\n{}", fmt::join(tokens->lengths, ",")));
  }
  for (const FloatTensor* sequence : inputs.Sequences()) add(sequence->shape, sequence->data);
}

}  // namespace qsim::inputs
