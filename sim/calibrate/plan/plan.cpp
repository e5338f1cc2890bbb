#include "sim/calibrate/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "golden/program/queries.h"
#include "sim/error.h"

namespace qsim::calibrate {
namespace {

using network::Node;

// Logits feed no array, so they keep 16 bits, one scale, and no ties that 8 bits would make.
Section UnreadSection() {
  Section section;
  section.bits = 16;
  return section;
}

}  // namespace

bool ChannelWise(const Section& section) {
  return section.calibration_mode == CalibrationMode::kChannelWise;
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
                  const std::function<bool(const Node& node)>& selected) {
  std::map<std::string, std::string> instead;  // of an Entry: what it stands for
  for (const Node& node : network.nodes()) {
    const bool entry = std::holds_alternative<network::Entry>(node.function);
    NodePlan plan;
    plan.node = &node;
    plan.input = entry || std::holds_alternative<network::Pixels>(node.function) ||
                 std::holds_alternative<network::Activations>(node.function);
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
  Select(network, [&](const Node& node) {
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
    const Op* products = ProducerOf(program, plan.Products());
    if (products != nullptr && AccumulatorOf(*products) != nullptr)
      plan.hardware.acc = *AccumulatorOf(*products);
    Section plain;
    plain.origin = "the bundle";
    if (std::holds_alternative<network::Projection>(plan.node->function)) {
      plan.weight = plain;
      plan.weight->calibration_mode = CalibrationMode::kChannelWise;
      if (!has(network::NarrowName(*plan.node))) continue;
    }
    plan.section = plain;
  }
}

Plan Plan::With(const Hardware& hardware) const {
  Plan other = *this;
  for (NodePlan& plan : other.nodes_) plan.hardware = hardware;
  return other;
}

class Planner {
 public:
  Planner(const network::Network& network, const Config& config, const Extent& extent,
          Realise realise, Plan& plan)
      : network_(network), config_(config), extent_(extent), realise_(realise), plan_(plan) {}

  void Run() {
    for (const std::string& note : config_.notes()) {
      plan_.notes_.push_back({LoweringNote::Kind::kInfo, "config", note});
    }
    plan_.Select(network_, [this](const Node& node) { return Selected(node); });
    // What a node asks of another's section is asked after that section has been read.
    for (NodePlan& plan : plan_.nodes_) {
      node_ = plan.node;
      ReadArithmetic(plan);
      std::visit([&](const auto& function) { Choose(function, plan); }, node_->function);
    }
    for (NodePlan& plan : plan_.nodes_) {
      if (!plan.observed) plan.observed = plan.section;
    }
  }

 private:
  bool Chained() const { return extent_.scope == Scope::kModel; }

  bool Selected(const Node& node) const {
    if (node.scope > extent_.scope) return false;
    if (Chained() && std::holds_alternative<network::Entry>(node.function)) return false;
    const std::vector<std::int64_t>& blocks = extent_.blocks;
    return blocks.empty() || std::find(blocks.begin(), blocks.end(), node.block) != blocks.end();
  }

  void ReadArithmetic(NodePlan& plan) const {
    plan.hardware = config_.HardwareFor(node_->block);
    plan.numerics = config_.NumericsFor(node_->block);
    if (plan.hardware.requant == RequantMode::kPowerOfTwo &&
        plan.numerics.requantize.scheme != RequantScheme::kRoundShift) {
      throw InputError(fmt::format(
          "key 'hardware.requant': power_of_two has no multiplier, but numerics.requantize {} has "
          "one of its own; use requant: multiplier, or a rounding for requantize",
          Name(plan.numerics.requantize)));
    }
  }

  // ---- what each function asks of its sections ----

  void Choose(const network::Pixels&, NodePlan&) {}
  void Choose(const network::Patches&, NodePlan&) {}
  void Choose(const network::Entry&, NodePlan& plan) { plan.section = Stream(); }
  void Choose(const network::Activations&, NodePlan& plan) { plan.section = Stream(); }
  void Choose(const network::Positions&, NodePlan& plan) { plan.section = Stream(); }
  void Choose(const network::Sum&, NodePlan& plan) { plan.section = Stream(); }

  void Choose(const network::LayerNorm&, NodePlan& plan) {
    plan.section = Operand(*node_->section);
    RequireHeads(*plan.section, *node_->section);
    if (node_->stream) {
      RequireOneZeroPoint(*plan.section);
      if (plan.hardware.requant == RequantMode::kPowerOfTwo) {
        throw InputError(fmt::format(
            "{}: {}: cannot be realised in integers: requant: power_of_two ties each channel of a "
            "norm to its gamma, and the residual add that reads this one has one shift for all; "
            "use requant: multiplier",
            plan.section->origin, node_->name));
      }
    }
    // Channels of its input may be powers of two apart, which only the stream's grids are.
    NodePlan& input = plan_.Mutable(plan.inputs.at(0));
    const bool norm = std::holds_alternative<network::LayerNorm>(input.node->function);
    if (input.section && (norm || !input.node->stream))
      RequireLayerWise(*input.section, input.node->section->key, "a layer norm reads it");
    if (plan.inputs.size() < 2) return;
    NodePlan& gate = plan_.Mutable(plan.inputs[1]);
    if (gate.section) RequireOneZeroPoint(*gate.section, *gate.node, "gate");
  }

  void Choose(const network::Columns&, NodePlan& plan) { plan.section = Operand(*node_->section); }

  void Choose(const network::Projection&, NodePlan& plan) {
    plan.weight = Operand(*node_->weight_section);
    if (network_.At(node_->inputs.at(0)).heads > 1 && node_->heads == 1) {
      if (plan.weight->calibration_mode == CalibrationMode::kHeadWise) {
        Substitute(*plan.weight, node_->weight_section->key,
                   "head_wise weights: heads lie along the projection's contraction axis",
                   "channel_wise",
                   [](Section& s) { s.calibration_mode = CalibrationMode::kChannelWise; });
      }
    } else {
      RequireHeads(*plan.weight, *node_->weight_section);
    }
    const std::vector<const NodePlan*> readers = plan_.ReadersOf(node_->name);
    if (readers.empty()) {
      if (Unread()) plan.section = UnreadSection();
      return;
    }
    const network::Function& reader = readers.front()->node->function;
    if (std::holds_alternative<network::Gelu>(reader)) {
      plan.section = TableInput(plan.numerics.gelu);
    } else if (std::holds_alternative<network::Elementwise>(reader)) {
      plan.section = TableInput(GeluKind::kTable);
    } else if (std::holds_alternative<network::LayerNorm>(reader)) {
      plan.section = Operand(*node_->section);
    } else {
      plan.section = OptionalStep();
    }
  }

  void Choose(const network::Product& product, NodePlan& plan) {
    if (!product.transpose_rhs) {
      plan.section = Operand(*node_->section);
      return;
    }
    NodePlan& lhs = plan_.Mutable(plan.inputs.at(0));
    NodePlan& rhs = plan_.Mutable(plan.inputs.at(1));
    RejectBothChannelWise(*lhs.section, rhs);
    // Factors between the operands come from the channels of one; the other's range follows from
    // its own channels, so that both are seen by channel.
    if (ChannelWise(*lhs.section) || ChannelWise(*rhs.section)) {
      for (NodePlan* operand : {&lhs, &rhs}) {
        operand->observed = operand->section;
        operand->observed->calibration_mode = CalibrationMode::kChannelWise;
      }
    }
    plan.section = Get(*node_->section);
    if (ChannelWise(*plan.section)) {
      Substitute(*plan.section, node_->section->key,
                 "channel_wise scores: a softmax row needs one scale", "head_wise",
                 [](Section& s) { s.calibration_mode = CalibrationMode::kHeadWise; });
    }
    RejectPowerOfTwoConflicts(plan);
  }

  // The algorithm fixes type and scale of its output; only a request for something else is a
  // conflict.
  void Choose(const network::Softmax&, NodePlan& plan) {
    const SoftmaxKind kind = plan.numerics.softmax;
    const std::string& key = node_->section->key;
    if (plan.hardware.requant == RequantMode::kPowerOfTwo && DividesAfter(plan)) {
      throw InputError(
          "key 'numerics.softmax_division': after multiplies each row by its sum's reciprocal, and "
          "requant: power_of_two has no multiplier; use before, or requant: multiplier");
    }
    Section section = Get(*node_->section);
    if (section.calibration_mode != CalibrationMode::kLayerWise) {
      Substitute(section, key,
                 fmt::format("{} softmax output: its one scale is fixed by the algorithm",
                             Name(section.calibration_mode)),
                 "layer_wise",
                 [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
    }
    const bool log2 = section.method == QuantMethod::kLog2;
    const int bits = kind == SoftmaxKind::kLogInt ? 4 : 8;
    if (section.bits != bits && (log2 || kind != SoftmaxKind::kLogInt)) {
      Substitute(section, key,
                 fmt::format("{} bits: softmax {} gives {}", section.bits, Name(kind), bits),
                 fmt::format("bits: {}", bits), [bits](Section& s) { s.bits = bits; });
    }
    plan.section = std::move(section);
  }

  void Choose(const network::Gelu&, NodePlan& plan) { ChooseTable(plan); }
  void Choose(const network::Elementwise&, NodePlan& plan) { ChooseTable(plan); }
  void ChooseTable(NodePlan& plan) {
    plan.section = Operand(*node_->section);
    RequireLayerWise(*plan.section, node_->section->key,
                     "one table serves every channel of its output");
  }

  // ---- rules ----

  // With the block in front, where it lies in one.
  std::string FullName(std::string_view tensor) const {
    return node_->block < 0 ? std::string(tensor)
                            : fmt::format("blocks.{}.{}", node_->block, tensor);
  }

  template <typename Change>
  void Substitute(Section& section, const std::string& tensor, const std::string& problem,
                  const std::string& nearest, Change change) {
    const std::string name = FullName(tensor);
    if (realise_ == Realise::kExact) {
      throw InputError(fmt::format(
          "{}: {}: cannot be realised in integers: {}; the nearest realisable choice is "
          "{} (--realise nearest takes it)",
          section.origin, name, problem, nearest));
    }
    change(section);
    Note(LoweringNote::Kind::kSubstitution, name, fmt::format("{}: {} taken", problem, nearest));
  }

  void Note(LoweringNote::Kind kind, const std::string& tensor, std::string text) {
    plan_.notes_.push_back({kind, tensor, std::move(text)});
  }

  Section Get(const network::SectionKey& key) {
    const Section section = config_.Get(key.block, key.key);
    if (section.origin == "default") {
      Note(LoweringNote::Kind::kInfo, FullName(key.key),
           "no section in the configuration: the documented default is used");
    }
    return section;
  }

  // An operand of the array: at most 8 bits.
  Section Operand(const network::SectionKey& key) {
    Section section = Get(key);
    LimitBits(section, key.key, 8);
    return section;
  }

  // The section of a layer's output counts where an int8 step is asked for.
  std::optional<Section> OptionalStep() {
    const std::string& name = node_->section->key;
    Section section = config_.Get(node_->section->block, name);
    if (!section.output_quant_enable) return std::nullopt;
    LimitBits(section, name, 8);
    if (section.has_zero_point && section.calibration_mode != CalibrationMode::kLayerWise) {
      Substitute(section, name, "one zero point per channel on the requantizer's input",
                 "symmetric", [](Section& s) {
                   s.has_zero_point = false;
                   s.is_signed = true;
                 });
    }
    Note(LoweringNote::Kind::kInfo, FullName(name),
         "output_quant_enable puts an int8 step behind the linear layer: a double rounding");
    RequireHeads(section, *node_->section);
    return section;
  }

  Section TableInput(GeluKind gelu) {
    const std::string& name = node_->section->key;
    Section section = Operand(*node_->section);
    RequireLayerWise(section, name, "one table serves every channel of its input");
    if (gelu == GeluKind::kIta && section.has_zero_point) {
      Substitute(section, name, "GELU ita takes no zero point", "signed and symmetric",
                 [](Section& s) {
                   s.has_zero_point = false;
                   s.is_signed = true;
                 });
    }
    return section;
  }

  // Whether the network ends here, not only the program.
  bool Unread() const { return network_.ReadersOf(*node_).empty(); }

  Section Stream() {
    Section section = Get(*node_->section);
    if (network_.FeedsArray(*node_)) LimitBits(section, node_->section->key, 8);
    RequireHeads(section, *node_->section);
    RequireOneZeroPoint(section);
    return section;
  }

  void RequireOneZeroPoint(Section& section) {
    RequireOneZeroPoint(section, *node_, "residual stream");
  }
  void RequireOneZeroPoint(Section& section, const Node& node, const std::string& what) {
    // PtfObserver's channels share one zero point.
    if (!ChannelWise(section) || !section.has_zero_point || section.observer == ObserverKind::kPtf)
      return;
    Substitute(section, TensorOf(node),
               fmt::format("channel_wise {} with a zero point for each channel", what),
               "channel_wise symmetric", [](Section& s) {
                 s.has_zero_point = false;
                 s.is_signed = true;
               });
  }

  // The tensor's name within its block.
  static std::string TensorOf(const Node& node) {
    return node.name.substr(node.name.rfind('.') + 1);
  }

  void LimitBits(Section& section, const std::string& tensor, int limit) {
    if (section.bits <= limit) return;
    Substitute(
        section, tensor,
        fmt::format(
            "{} bits: more than {} bits are for the residual stream, scores and norm inputs only",
            section.bits, limit),
        fmt::format("bits: {}", limit), [limit](Section& s) { s.bits = limit; });
  }

  void RequireHeads(Section& section, const network::SectionKey& key) {
    if (node_->heads > 1 || section.calibration_mode != CalibrationMode::kHeadWise) return;
    Substitute(section, node_->stream ? TensorOf(*node_) : key.key,
               "head_wise: this tensor has no heads", "channel_wise",
               [](Section& s) { s.calibration_mode = CalibrationMode::kChannelWise; });
  }

  void RequireLayerWise(Section& section, const std::string& tensor, const std::string& why) {
    if (section.calibration_mode == CalibrationMode::kLayerWise) return;
    Substitute(section, tensor, fmt::format("{}: {}", Name(section.calibration_mode), why),
               "layer_wise", [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
  }

  void RejectBothChannelWise(const Section& lhs, NodePlan& rhs) {
    if (!ChannelWise(lhs) || !ChannelWise(*rhs.section)) return;
    Substitute(
        *rhs.section, rhs.node->section->key,
        "channel_wise on both Q and K: channels are the contraction axis of QK^T, so one factor "
        "serves both",
        "layer_wise", [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
  }

  // In power-of-two mode each ratio of scales is 2^-S; these requests tie a scale to two that are
  // not powers of two of each other.
  void RejectPowerOfTwoConflicts(NodePlan& scores) {
    if (scores.hardware.requant != RequantMode::kPowerOfTwo) return;
    for (const std::string& operand : scores.inputs) {
      const NodePlan& plan = plan_.At(operand);
      if (std::holds_alternative<network::Columns>(plan.node->function))
        RejectPowerOfTwoConflicts(plan_.Mutable(plan.inputs.at(0)), scores);
    }
  }
  // `layer`: that an operand is columns of.
  void RejectPowerOfTwoConflicts(NodePlan& layer, NodePlan& scores) {
    if (layer.section) {
      Substitute(*layer.section, layer.node->section->key,
                 "output_quant_enable with requant: power_of_two: one int8 step cannot be a power "
                 "of two apart "
                 "from Q, K and V at once",
                 "output_quant_enable: False", [](Section& s) { s.output_quant_enable = false; });
      layer.section.reset();
    }
    if (scores.section->calibration_mode == CalibrationMode::kHeadWise &&
        layer.weight->calibration_mode == CalibrationMode::kLayerWise) {
      Substitute(
          *scores.section, scores.node->section->key,
          fmt::format("head_wise scores with layer_wise {} weights and requant: power_of_two",
                      TensorOf(*layer.node)),
          "layer_wise", [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
    }
  }

  const network::Network& network_;
  const Config& config_;
  const Extent& extent_;
  Realise realise_;
  Plan& plan_;
  const Node* node_ = nullptr;
};

Plan::Plan(const network::Network& network, const Config& config, const Extent& extent,
           Realise realise)
    : network_(&network) {
  Planner(network, config, extent, realise, *this).Run();
}

}  // namespace qsim::calibrate
