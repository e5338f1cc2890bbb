// What is realised: for each node of the network the sections of the configuration after the rules
// of docs/architecture.md, "What a granularity means in integers". A request that integer hardware
// cannot honour is an error, or, under `--realise nearest`, a listed substitution.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/config/config.h"
#include "sim/network/network.h"

namespace qsim::calibrate {

enum class Realise : std::uint8_t { kExact, kNearest };

// Which part of a network becomes a program.
struct Extent {
  Scope scope = Scope::kAttention;
  std::vector<std::int64_t> blocks;  // ascending, unique; empty: all of the model's
};

// One node of the program-to-be, every request realisable.
struct NodePlan {
  const network::Node* node = nullptr;
  std::vector<std::string> inputs;  // the nodes it reads, entries seen through
  bool input = false;               // the program's own: nothing computes it
  // Of its grid; a Projection has one only where an int8 step follows it, or where nothing reads
  // it.
  std::optional<Section> section;
  std::optional<Section> weight;  // Projection, CausalConvolution
  // What its observer sees: its section, but by channel where factors of channels are to be found.
  // Absent: not observed.
  std::optional<Section> observed;
  Hardware hardware;
  Numerics numerics;
  // A layer that reads it corrects its biases by the mean of each channel.
  bool mean_wanted = false;
  // A Product's right operand is the array's second, which is int8.
  bool second_operand = false;
  // The layers whose columns absorb the factors of a tensor that its section smooths.
  std::vector<const network::Node*> smoothed_into = {};
  // A Gelu whose codes are wide first, and then requantized with a ratio for each channel.
  bool wide_first = false;

  // The tensor that its readers find.
  std::string Tensor() const {
    if (!std::holds_alternative<network::Projection>(node->function)) return node->name;
    return section ? network::NarrowName(*node) : network::AccumulatorName(*node);
  }
  // The accumulator of a layer, a convolution, a product or a mean, or wide codes; of another node
  // "". And a layer's weights.
  std::string Products() const {
    if (wide_first || std::holds_alternative<network::Product>(node->function) ||
        std::holds_alternative<network::MeanRows>(node->function) ||
        std::holds_alternative<network::CausalConvolution>(node->function) ||
        std::holds_alternative<network::Multiply>(node->function) ||
        std::holds_alternative<network::Scaled>(node->function))
      return node->name + std::string(network::kProductSuffix);
    return std::holds_alternative<network::Projection>(node->function)
               ? network::AccumulatorName(*node)
               : "";
  }
  // Of a softmax that is divided after the product: its rows' sums; of that product: the quotient.
  std::string Sums() const { return node->name + std::string(network::kSumSuffix); }
  std::string Quotient() const { return node->name + std::string(network::kQuotientSuffix); }
  std::string Weights() const { return Products() + ".weight"; }
};

class Plan {
 public:
  // The network must outlive the plan. Throws InputError with the section's origin for a request
  // that cannot be realised.
  Plan(const network::Network& network, const Config& config, const Extent& extent,
       Realise realise);
  // Of the nodes that a bundle has, in its arithmetic; what has no grid yet gets the plainest, with
  // a scale for each output channel of weights.
  Plan(const network::Network& network, const Bundle& bundle);

  // The same on other hardware.
  Plan With(const Hardware& hardware) const;

  const network::Network& network() const { return *network_; }
  const std::vector<NodePlan>& nodes() const { return nodes_; }  // in the network's order
  const std::vector<LoweringNote>& notes() const { return notes_; }
  const NodePlan* Find(const std::string& node) const;
  const NodePlan& At(const std::string& node) const;  // throws InternalError
  std::vector<const NodePlan*> ReadersOf(const std::string& node) const;

 private:
  friend class Planner;
  // The nodes, and what each reads: an Entry that is not among them is seen through.
  void Select(const network::Network& network,
              const std::function<bool(const network::Node& node)>& selected);
  NodePlan& Mutable(const std::string& node) { return nodes_[index_.at(node)]; }

  const network::Network* network_;
  std::vector<NodePlan> nodes_;
  std::map<std::string, std::size_t> index_;
  std::vector<LoweringNote> notes_;
};

bool ChannelWise(const Section& section);
// Whether the node is columns of a tensor that has a grid: the same codes, in another place.
bool IsView(const network::Network& network, const network::Node& node);
// Whether the node is a softmax whose readers divide by the sums of its rows.
bool DividesAfter(const NodePlan& softmax);

}  // namespace qsim::calibrate
