// From a configuration to a plan.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "sim/calibrate/plan/plan.h"
#include "sim/error.h"
#include "sim/namespaces.h"

namespace qsim::calibrate {
namespace {

using network::Node;

// Why a tensor cannot be smoothed.
constexpr const char* kNothingAbsorbs =
    "only the output of a norm, a GELU or a gate, and the values that attention sums, reach linear "
    "layers that can absorb the factors of their channels";

// Logits feed no array, so they keep 16 bits, one scale, and no ties that 8 bits would make.
Section UnreadSection() {
  Section section;
  section.bits = 16;
  return section;
}

}  // namespace

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
      if (plan.section && plan.section->Smooths()) Smooth(plan);
      if (plan.weight && plan.weight->Smooths())
        RefuseSmooth(*plan.weight, plan.node->weight_section->key,
                     "the weights are what absorbs it");
    }
    for (NodePlan& plan : plan_.nodes_) {
      if (!plan.observed) plan.observed = plan.section;
      if (plan.weight && plan.weight->bias_correction)
        plan_.Mutable(plan.inputs.at(0)).mean_wanted = true;
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
  void Choose(const network::Tokens&, NodePlan&) {}
  void Choose(const network::Past&, NodePlan&) {}
  void Choose(const network::LastRows&, NodePlan&) {}  // the grid of what it keeps
  void Choose(const network::Embedding&, NodePlan& plan) { plan.section = Stream(); }
  void Choose(const network::Entry&, NodePlan& plan) { plan.section = Stream(); }
  void Choose(const network::Activations&, NodePlan& plan) { plan.section = Stream(); }
  void Choose(const network::Positions&, NodePlan& plan) { plan.section = Stream(); }
  // Of the stream, of two heads, or of two tensors.
  void Choose(const network::Sum&, NodePlan& plan) {
    plan.section = node_->stream ? Stream() : Unread() ? UnreadSection() : OperandOrWide();
    if (!node_->stream && !Unread())
      RequireLayerWise(*plan.section, node_->section->key,
                       "a sum outside the stream has one scale");
  }
  void Choose(const network::MeanRows&, NodePlan& plan) {
    plan.section = OperandOrWide();
    RequireHeads(*plan.section, *node_->section);
  }

  void Choose(const network::LayerNorm& layer, NodePlan& plan) {
    // The stream may begin with a norm, or a norm be added to it.
    plan.section = OperandOrWide();
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
    if (layer.groups > 1 && layer.centred) {
      throw InputError(
          fmt::format("{}: cannot be realised in integers: groups of a layer norm; of "
                      "an RMS norm they can",
                      node_->name));
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

  void Choose(const network::Columns&, NodePlan& plan) {
    if (!IsView(network_, *node_)) plan.section = OperandOrWide();
  }

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
    } else if (ReadsAccumulators(*readers.front(), *node_)) {
      plan.section = OptionalStep();
    } else if (std::holds_alternative<network::Sum>(reader) &&
               network_.ReadersOf(*readers.front()->node).empty()) {
      plan.section = UnreadSection();
    } else {
      plan.section = OperandOrWide();
      RequireLayerWise(*plan.section, node_->section->key, "what reads it takes one scale");
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
  void Choose(const network::Elementwise& function, NodePlan& plan) {
    ChooseTable(plan);
    for (const std::string& input : plan.inputs) RequireOneScale(input, "a table reads it");
    if (function.parts.empty()) return;
    plan.observed = plan.section;
    plan.observed->calibration_mode = CalibrationMode::kChannelWise;
  }
  void ChooseTable(NodePlan& plan) {
    plan.section = OperandOrWide();
    RequireLayerWise(*plan.section, node_->section->key,
                     "one table serves every channel of its output");
  }

  // ---- sequences ----

  void Choose(const network::CausalConvolution&, NodePlan& plan) {
    plan.weight = Operand(*node_->weight_section);
    RequireHeads(*plan.weight, *node_->weight_section);
    RequireOneScale(plan.inputs.at(0), "a convolution with carried state reads it");
    plan.section = OperandOrWide();
    RequireLayerWise(*plan.section, node_->section->key, "a table reads it");
  }

  void Choose(const network::Multiply&, NodePlan& plan) {
    for (const std::string& input : plan.inputs) RequireOneZero(input, "factor");
    RequireProduct(plan_.Mutable(plan.inputs[0]), plan_.Mutable(plan.inputs[1]));
    plan.section = OperandOrWide();
    RequireHeads(*plan.section, *node_->section);
  }
  // Codes less their zero points have as many bits as the codes, and a sign.
  void RequireProduct(const NodePlan& a, NodePlan& b) {
    constexpr int kMostBits = 31;
    if (!b.section || !b.node->section) return;
    const int most = kMostBits - (a.section ? a.section->bits : 16);
    if (b.section->bits <= most) return;
    Substitute(*b.section, b.node->section->key,
               fmt::format("{} bits: it multiplies {} of {}, and the product has {}",
                           b.section->bits, a.node->name, kMostBits - most, kMostBits + 1),
               fmt::format("bits: {}", most), [most](Section& s) { s.bits = most; });
  }
  void Choose(const network::Scaled&, NodePlan& plan) {
    RequireOneZero(plan.inputs.at(0), "factor");
    plan.section = OperandOrWide();
    RequireHeads(*plan.section, *node_->section);
  }

  void Choose(const network::Recurrence&, NodePlan& plan) {
    RequireUpdate(plan);
    plan.section = OperandOrWide();
    RequireLayerWise(*plan.section, node_->section->key, "a recurrence reads out with one scale");
  }
  // Each head's state has a scale of its own, and hardware.state_bits.
  void Choose(const network::FinalState&, NodePlan& plan) {
    RequireUpdate(plan);
    Section state;
    state.calibration_mode = CalibrationMode::kChannelWise;  // a plane is a head
    state.bits = plan.hardware.state_bits;
    state.origin = "hardware.state_bits";
    plan.section = std::move(state);
  }
  void RequireUpdate(const NodePlan& plan) {
    if (plan.hardware.requant == RequantMode::kPowerOfTwo) {
      throw InputError(fmt::format(
          "key 'hardware.requant': power_of_two: the recurrence {} has multipliers; use requant: "
          "multiplier",
          node_->name));
    }
    for (std::size_t i = 0; i + 1 < plan.inputs.size(); ++i)
      RequireOneScale(plan.inputs[i], "a recurrence reads it");
  }

  void RequireOneScale(const std::string& input, const std::string& why) {
    NodePlan& read = plan_.Mutable(input);
    if (read.section && read.node->section)
      RequireLayerWise(*read.section, read.node->section->key, why);
  }
  void RequireOneZero(const std::string& input, const std::string& what) {
    NodePlan& read = plan_.Mutable(input);
    if (read.section) RequireOneZeroPoint(*read.section, *read.node, what);
  }

  // ---- smoothing ----

  // The factors of a norm's channels, or of a GELU's, go into the layers that read it; those of
  // attention's values pass through the product, a sum over rows, into the layers that read that.
  void Smooth(NodePlan& plan) {
    node_ = plan.node;
    Section& section = *plan.section;
    const std::string& key = node_->section->key;
    if (ChannelWise(section)) {
      return RefuseSmooth(section, key, "channel_wise gives every channel a scale of its own");
    }
    // A network without a head may end here: what is asked of every norm is then asked in vain.
    if (std::holds_alternative<network::LayerNorm>(node_->function) && Unread()) {
      Note(LoweringNote::Kind::kInfo, FullName(key), "not smoothed: nothing reads it");
      section.smooth = section.outlier_channels = 0;
      return;
    }
    const network::Function& function = node_->function;
    const bool values = std::holds_alternative<network::Columns>(function) && plan.second_operand;
    const bool gelu = std::holds_alternative<network::Gelu>(function);
    std::vector<NodePlan*> carriers;
    if ((!values && !gelu && !std::holds_alternative<network::LayerNorm>(function) &&
         !std::holds_alternative<network::Multiply>(function)) ||
        !CollectReaders(plan, plan.smoothed_into, carriers) || plan.smoothed_into.empty()) {
      plan.smoothed_into.clear();
      return RefuseSmooth(section, key, kNothingAbsorbs);
    }
    for (NodePlan* carrier : carriers) {
      if (carrier == &plan || !ChannelWise(*carrier->section)) continue;
      Substitute(*carrier->section, carrier->node->section->key,
                 fmt::format("channel_wise: {} is smoothed, whose factors its channels have", key),
                 "layer_wise",
                 [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
    }
    plan.wide_first = gelu;
    for (NodePlan* seen : carriers) {
      seen->observed = seen->section;
      seen->observed->calibration_mode = CalibrationMode::kChannelWise;
    }
  }

  // The layers that absorb the factors of a tensor's channels, and the tensors that have these
  // factors: itself, and sums over its rows. False where something else reads them.
  bool CollectReaders(NodePlan& of, std::vector<const Node*>& layers,
                      std::vector<NodePlan*>& carriers) {
    carriers.push_back(&of);
    for (const NodePlan* reader : plan_.ReadersOf(of.node->name)) {
      const network::Function& function = reader->node->function;
      const auto* product = std::get_if<network::Product>(&function);
      const bool rows = std::holds_alternative<network::MeanRows>(function) ||
                        (product != nullptr && !product->transpose_rhs && of.second_operand);
      // A residual add has a multiplier for each channel.
      const bool sum = std::holds_alternative<network::Sum>(function) &&
                       std::holds_alternative<network::LayerNorm>(of.node->function);
      if (std::holds_alternative<network::Projection>(function)) {
        layers.push_back(reader->node);
      } else if (rows) {
        if (!CollectReaders(plan_.Mutable(reader->node->name), layers, carriers)) return false;
      } else if (!sum) {
        return false;
      }
    }
    return true;
  }

  void RefuseSmooth(Section& section, const std::string& key, const std::string& why) {
    const bool outliers = section.smooth == 0;
    const std::string setting = outliers ? "outlier_channels" : "smooth";
    const double value = outliers ? section.outlier_channels : section.smooth;
    Substitute(section, key, fmt::format("{}: {}: {}", setting, value, why), setting + ": 0",
               [](Section& s) { s.smooth = s.outlier_channels = 0; });
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

  // At most 8 bits where the array reads it.
  Section OperandOrWide() {
    return network_.FeedsArray(*node_) ? Operand(*node_->section) : Get(*node_->section);
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
    if (section.Smooths()) RefuseSmooth(section, name, kNothingAbsorbs);
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
    Section section = Get(*node_->section);
    const int most = golden::MostGeluInputBits(gelu);
    if (section.bits > most) {
      Substitute(section, name,
                 fmt::format("{} bits: GELU {} reads {}; table, ibert and deeploy read up to 16",
                             section.bits, Name(gelu), most),
                 fmt::format("bits: {}", most), [most](Section& s) { s.bits = most; });
    }
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

  // Whether a layer's accumulators are what its reader takes, not a narrow tensor of its own.
  static bool ReadsAccumulators(const NodePlan& reader, const Node& layer) {
    const network::Function& function = reader.node->function;
    if (std::holds_alternative<network::Sum>(function)) return reader.inputs.at(0) == layer.name;
    return std::holds_alternative<network::Columns>(function) ||
           std::holds_alternative<network::Positions>(function);
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
            "{} bits: more than {} bits are for the residual stream, scores and norm inputs, and "
            "for what an activation reads",
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
