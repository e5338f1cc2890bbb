// What the network's structure says of a tensor: the section that decides its grid, what attention
// takes it for, and the layers that are stacked in one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/network/network.h"

namespace qsim::diagnose {

// The section of the configuration that decides a tensor's grid; null for accumulators, for what an
// algorithm fixes, pixels, and outputs that nothing reads.
const network::SectionKey* SectionOf(const network::Network& model, const std::string& tensor);
// As a configuration has it, with its block.
std::string TextOf(const network::SectionKey& section);

// What the products of attention take a node for: scores = Q K^T, output = probabilities V.
enum class AttentionOperand : std::uint8_t { kNone, kQuery, kKey, kValue };
AttentionOperand OperandOf(const network::Network& model, const std::string& node);

// Whether a node has no more of its rows than their shape: layer norms and their like.
bool Normalises(const network::Node& node);

// Layers that are stacked in one, by their output channels.
struct StackedPart {
  std::size_t first = 0, channels = 0;
  std::string name;  // "Q", "K", "V", or that of the tensor
};
// Empty where the layer stands for itself.
std::vector<StackedPart> PartsOf(const network::Network& model, const std::string& layer);
std::string NamesOf(const std::vector<StackedPart>& parts);  // "Q, K and V"

// Heads of a tensor: its leading axis, or groups of its columns; 1 where it has none, and for
// accumulators.
std::size_t HeadsOf(const network::Network& model, const std::string& tensor);
std::size_t HeadOfElement(const Shape& shape, std::size_t heads, std::size_t element);

}  // namespace qsim::diagnose
