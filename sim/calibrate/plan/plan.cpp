#include "sim/calibrate/plan/plan.h"

#include <algorithm>
#include <utility>

#include "golden/program/queries.h"
#include "sim/error.h"

namespace qsim::calibrate {

bool ChannelWise(const Section& section) {
  return section.calibration_mode == CalibrationMode::kChannelWise;
}

bool IsView(const network::Network& network, const network::Node& node) {
  return std::holds_alternative<network::Columns>(node.function) &&
         !std::holds_alternative<network::Projection>(network.At(node.inputs.at(0)).function);
}

bool DividesAfter(const NodePlan& softmax) {
  return std::holds_alternative<network::Softmax>(softmax.node->function) &&
         softmax.numerics.softmax_division == SoftmaxDivision::kAfter;
}

const NodePlan* Plan::Find(const std::string& node) const {
  const auto found = index_.find(node);
  return found == index_.end() ? nullptr : &nodes_[found->second];
}

const NodePlan& Plan::At(const std::string& node) const {
  if (const NodePlan* plan = Find(node)) return *plan;
  throw InternalError("'" + node + "' is not planned");
}

std::vector<const NodePlan*> Plan::ReadersOf(const std::string& node) const {
  std::vector<const NodePlan*> readers;
  for (const NodePlan& plan : nodes_) {
    if (std::find(plan.inputs.begin(), plan.inputs.end(), node) != plan.inputs.end())
      readers.push_back(&plan);
  }
  return readers;
}

void Plan::Select(const network::Network& network,
                  const std::function<bool(const network::Node& node)>& selected) {
  std::map<std::string, std::string> instead;  // of an Entry: what it stands for
  for (const network::Node& node : network.nodes()) {
    const bool entry = std::holds_alternative<network::Entry>(node.function);
    NodePlan plan;
    plan.node = &node;
    plan.input = entry || std::holds_alternative<network::Pixels>(node.function) ||
                 std::holds_alternative<network::Activations>(node.function) ||
                 std::holds_alternative<network::Tokens>(node.function) ||
                 std::holds_alternative<network::Past>(node.function);
    for (const std::string& input : node.inputs) {
      const auto seen = instead.find(input);
      plan.inputs.push_back(seen == instead.end() ? input : seen->second);
    }
    if (!selected(node)) {
      if (entry) instead[node.name] = plan.inputs.at(0);
      continue;
    }
    if (plan.input) plan.inputs.clear();
    index_.emplace(node.name, nodes_.size());
    nodes_.push_back(std::move(plan));
  }
  for (const NodePlan& plan : nodes_) {
    if (std::holds_alternative<network::Product>(plan.node->function))
      Mutable(plan.inputs.at(1)).second_operand = true;
  }
}

Plan::Plan(const network::Network& network, const Bundle& bundle) : network_(&network) {
  const Program& program = bundle.program;
  const auto has = [&](const std::string& tensor) { return program.FindTensor(tensor) != nullptr; };
  Select(network, [&](const network::Node& node) {
    return has(node.name) || has(network::AccumulatorName(node)) ||
           has(node.name + std::string(network::kProductSuffix));
  });
  for (NodePlan& plan : nodes_) {
    const auto contract = bundle.contracts.blocks.find(plan.node->block);
    plan.numerics = contract == bundle.contracts.blocks.end() ? bundle.contracts.model.numerics
                                                              : contract->second.numerics;
    // A faulty program may have few bits; what is made anew has those of the default hardware.
    plan.hardware.multiplier_bits =
        std::max(plan.hardware.multiplier_bits, bundle.hardware.multiplier_bits);
    if (bundle.hardware.power_of_two) plan.hardware.requant = RequantMode::kPowerOfTwo;
    plan.wide_first = std::holds_alternative<network::Gelu>(plan.node->function) &&
                      has(plan.node->name + std::string(network::kProductSuffix));
    const Op* products = ProducerOf(program, plan.Products());
    if (products != nullptr && AccumulatorOf(*products) != nullptr)
      plan.hardware.acc = *AccumulatorOf(*products);
    Section plain;
    plain.origin = "the bundle";
    const bool layer = std::holds_alternative<network::Projection>(plan.node->function);
    if (layer || std::holds_alternative<network::CausalConvolution>(plan.node->function)) {
      plan.weight = plain;
      plan.weight->calibration_mode = CalibrationMode::kChannelWise;
      const auto stated = bundle.scales.find(plan.Weights());
      if (stated != bundle.scales.end()) plan.weight->rounding = stated->second.rounding;
    }
    if (layer && !has(network::NarrowName(*plan.node))) continue;
    plan.section = plain;
  }
}

Plan Plan::With(const Hardware& hardware) const {
  Plan other = *this;
  for (NodePlan& plan : other.nodes_) plan.hardware = hardware;
  return other;
}

}  // namespace qsim::calibrate
