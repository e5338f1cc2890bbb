// How much of a network a program holds.
#pragma once

#include <array>
#include <cstdint>

#include "golden/ops/names.h"
#include "sim/namespaces.h"

namespace qsim::config {

//   kAttention  norm1 to residual1 of each block, each fed with the real activations that reach it
//   kBlock      norm1 to residual2 of each block, fed likewise
//   kModel      pixels (or token embeddings) to logits, chained in integers
enum class Scope : std::uint8_t { kAttention, kBlock, kModel };
constexpr auto NamesOf(Scope /*enum*/) {
  return std::to_array<NamedValue<Scope>>({
      {Scope::kAttention, "attention"},
      {Scope::kBlock, "block"},
      {Scope::kModel, "model"},
  });
}

}  // namespace qsim::config
