#include "sim/network/network.h"

#include <utility>

#include "sim/error.h"

namespace qsim::network {

const std::string& AccumulatorName(const Node& node) {
  const auto* projection = std::get_if<Projection>(&node.function);
  return projection == nullptr || projection->accumulator.empty() ? node.name
                                                                  : projection->accumulator;
}

Node& Network::Add(Node node) {
  for (const std::string& read : node.inputs) At(read);
  if (!index_.emplace(node.name, nodes_.size()).second) {
    throw InternalError("two nodes are called '" + node.name + "'");
  }
  if (AccumulatorName(node) != node.name)
    accumulators_.emplace(AccumulatorName(node), nodes_.size());
  nodes_.push_back(std::move(node));
  return nodes_.back();
}

const Node* Network::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &nodes_[found->second];
}

const Node& Network::At(std::string_view name) const {
  if (const Node* node = Find(name)) return *node;
  throw InternalError("the network has no node '" + std::string(name) + "'");
}

Node& Network::At(std::string_view name) {
  return nodes_[index_.at(std::as_const(*this).At(name).name)];
}

const Node* Network::NodeOf(std::string_view tensor) const {
  if (const Node* node = Find(tensor)) return node;
  for (const std::string_view suffix : {kProductSuffix, kNarrowSuffix}) {
    if (tensor.ends_with(suffix)) return Find(tensor.substr(0, tensor.size() - suffix.size()));
  }
  const auto found = accumulators_.find(tensor);
  return found == accumulators_.end() ? nullptr : &nodes_[found->second];
}

}  // namespace qsim::network
