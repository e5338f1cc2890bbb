#include "sim/diagnose/structure.h"

#include <fmt/format.h>

namespace qsim::diagnose {

const network::SectionKey* SectionOf(const network::Network& model, const std::string& tensor) {
  const network::Node* node = model.NodeOf(tensor);
  // The section of a softmax chooses an algorithm, which fixes the grid; that of a layer speaks of
  // the int8 step behind it.
  if (node == nullptr || !node->section ||
      std::holds_alternative<network::Softmax>(node->function)) {
    return nullptr;
  }
  const bool layer = std::holds_alternative<network::Projection>(node->function);
  const std::string_view suffix = layer ? network::kNarrowSuffix : "";
  return tensor == fmt::format("{}{}", node->name, suffix) ? &*node->section : nullptr;
}

std::string TextOf(const network::SectionKey& section) {
  return section.block < 0 ? section.key : fmt::format("blocks.{}.{}", section.block, section.key);
}

AttentionOperand OperandOf(const network::Network& model, const std::string& node) {
  for (const network::Node& reader : model.nodes()) {
    const auto* product = std::get_if<network::Product>(&reader.function);
    if (product == nullptr) continue;
    if (product->transpose_rhs && reader.inputs[0] == node) return AttentionOperand::kQuery;
    if (reader.inputs[1] != node) continue;
    return product->transpose_rhs ? AttentionOperand::kKey : AttentionOperand::kValue;
  }
  return AttentionOperand::kNone;
}

bool Normalises(const network::Node& node) {
  return std::visit(
      [](const auto& f) {
        return requires { f.norm; };
      },
      node.function);
}

std::vector<StackedPart> PartsOf(const network::Network& model, const std::string& layer) {
  constexpr const char* kNames[] = {"", "Q", "K", "V"};
  std::vector<StackedPart> parts;
  const network::Node* stacked = model.NodeOf(layer);
  for (const network::Node& node : model.nodes()) {
    const auto* columns = std::get_if<network::Columns>(&node.function);
    if (columns == nullptr || stacked == nullptr || node.inputs[0] != stacked->name) continue;
    const AttentionOperand operand = OperandOf(model, node.name);
    parts.push_back(
        {static_cast<std::size_t>(columns->first), static_cast<std::size_t>(node.shape.back()),
         operand == AttentionOperand::kNone ? node.name
                                            : kNames[static_cast<std::size_t>(operand)]});
  }
  return parts.size() > 1 ? parts : std::vector<StackedPart>();
}

std::string NamesOf(const std::vector<StackedPart>& parts) {
  std::string names = parts.front().name;
  for (std::size_t p = 1; p < parts.size(); ++p)
    names += (p + 1 == parts.size() ? " and " : ", ") + parts[p].name;
  return names;
}

std::size_t HeadsOf(const network::Network& model, const std::string& tensor) {
  const network::Node* node = model.Find(tensor);
  const bool heads =
      node != nullptr && !std::holds_alternative<network::Projection>(node->function);
  return heads ? static_cast<std::size_t>(node->heads) : 1;
}

std::size_t HeadOfElement(const Shape& shape, std::size_t heads, std::size_t element) {
  if (heads == 1) return 0;
  if (shape.size() == 3) return element / static_cast<std::size_t>(shape[1] * shape[2]);
  const auto columns = static_cast<std::size_t>(shape.back());
  return element % columns / (columns / heads);
}

}  // namespace qsim::diagnose
