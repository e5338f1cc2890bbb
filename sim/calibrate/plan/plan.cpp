#include "sim/calibrate/plan/plan.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "sim/calibrate/observe/observer.h"
#include "sim/error.h"

namespace qsim {
namespace {

class Planner {
 public:
  Planner(const Config& config, int block, Realise realise, std::vector<LoweringNote>& notes)
      : config_(config), block_(block), realise_(realise), notes_(notes) {}

  AttentionPlan Attention() {
    AttentionPlan plan;
    ReadArithmetic(plan.hardware, plan.numerics);
    plan.softmax_kind = plan.numerics.softmax;
    plan.input = Residual(block_ == 0 ? TensorRole::kEmbed : TensorRole::kResidual2,
                          block_ == 0 ? block_ : block_ - 1, "input");
    plan.norm1 = Activation(TensorRole::kNorm1);
    RejectHeadWise(plan.norm1, "norm1");
    plan.qkv_weight = Weight(TensorRole::kAttnQkvWeight);
    plan.qkv_output = LinearOutput(TensorRole::kAttnQkvOutput);
    plan.q = Activation(TensorRole::kAttnQOut);
    plan.k = Activation(TensorRole::kAttnKOut);
    plan.v = Activation(TensorRole::kAttnVInput);
    RejectBothChannelWise(plan.q, plan.k);
    plan.scores = Scores();
    plan.softmax = Softmax(plan.softmax_kind);
    plan.attention = Activation(TensorRole::kAttnVOut);
    plan.proj_weight = Weight(TensorRole::kAttnProjWeight);
    if (plan.proj_weight.calibration_mode == CalibrationMode::kHeadWise) {
      Substitute(plan.proj_weight, "attn_proj.weight",
                 "head_wise weights: heads lie along the projection's contraction axis",
                 "channel_wise",
                 [](Section& s) { s.calibration_mode = CalibrationMode::kChannelWise; });
    }
    plan.proj_output = LinearOutput(TensorRole::kAttnProjOutput);
    if (plan.proj_output.output_quant_enable) RejectHeadWise(plan.proj_output, "attn_proj.output");
    plan.residual1 = Residual(TensorRole::kResidual1, block_, "residual1");
    RejectPowerOfTwoConflicts(plan);
    return plan;
  }

  MlpPlan Mlp() {
    MlpPlan plan;
    ReadArithmetic(plan.hardware, plan.numerics);
    plan.norm2 = Activation(TensorRole::kNorm2);
    RejectHeadWise(plan.norm2, "norm2");
    plan.fc1_weight = Weight(TensorRole::kMlpFc1Weight);
    RejectHeadWise(plan.fc1_weight, "mlp_fc1.weight");
    plan.fc1_output = Activation(TensorRole::kMlpFc1Output);
    RequireLayerWise(plan.fc1_output, "mlp_fc1.output",
                     "one GELU table serves every channel of its input");
    if (plan.numerics.gelu == GeluKind::kIta && plan.fc1_output.has_zero_point) {
      Substitute(plan.fc1_output, "mlp_fc1.output", "GELU ita takes no zero point",
                 "signed and symmetric", [](Section& s) {
                   s.has_zero_point = false;
                   s.is_signed = true;
                 });
    }
    plan.gelu = Activation(TensorRole::kMlpGelu);
    RequireLayerWise(plan.gelu, "mlp_gelu", "one GELU table serves every channel of its output");
    plan.fc2_weight = Weight(TensorRole::kMlpFc2Weight);
    RejectHeadWise(plan.fc2_weight, "mlp_fc2.weight");
    plan.fc2_output = LinearOutput(TensorRole::kMlpFc2Output);
    if (plan.fc2_output.output_quant_enable) RejectHeadWise(plan.fc2_output, "mlp_fc2.output");
    plan.residual2 = Residual(TensorRole::kResidual2, block_, "residual2");
    return plan;
  }

  EndsPlan Ends() {
    EndsPlan plan;
    ReadArithmetic(plan.hardware, plan.numerics);
    plan.patch_weight = Weight(TensorRole::kPatchEmbedWeight);
    RejectHeadWise(plan.patch_weight, "patch_embed.weight");
    plan.embed = Residual(TensorRole::kEmbed, block_, "embed");
    plan.norm = Activation(TensorRole::kNorm);
    RejectHeadWise(plan.norm, "norm");
    plan.head_weight = Weight(TensorRole::kHeadWeight);
    RejectHeadWise(plan.head_weight, "head.weight");
    return plan;
  }

 private:
  void ReadArithmetic(Hardware& hardware, Numerics& numerics) const {
    hardware = config_.HardwareFor(block_);
    numerics = config_.NumericsFor(block_);
    if (hardware.requant == RequantMode::kPowerOfTwo &&
        numerics.requantize.scheme != RequantScheme::kRoundShift) {
      throw InputError(fmt::format(
          "key 'hardware.requant': power_of_two has no multiplier, but numerics.requantize {} has "
          "one of its own; use requant: multiplier, or a rounding for requantize",
          Name(numerics.requantize)));
    }
  }

  // "blocks.2.norm1", or "norm" for what lies outside the blocks.
  std::string FullName(std::string_view tensor) const {
    return block_ < 0 ? std::string(tensor) : fmt::format("blocks.{}.{}", block_, tensor);
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
    notes_.push_back(
        {LoweringNote::Kind::kSubstitution, name, fmt::format("{}: {} taken", problem, nearest)});
  }

  Section Get(TensorRole role, int block) {
    const Section section = config_.Get(block, role);
    if (section.origin == "default") {
      notes_.push_back({LoweringNote::Kind::kInfo, FullName(Name(role)),
                        "no section in the configuration: the documented default is used"});
    }
    return section;
  }

  // An operand of the array: at most 8 bits.
  Section Activation(TensorRole role) {
    Section section = Get(role, block_);
    LimitBits(section, std::string(Name(role)), 8);
    return section;
  }

  Section Weight(TensorRole role) { return Activation(role); }

  Section LinearOutput(TensorRole role) {
    Section section = config_.Get(block_, role);
    if (!section.output_quant_enable) return section;
    const std::string name(Name(role));
    LimitBits(section, name, 8);
    if (section.has_zero_point && section.calibration_mode != CalibrationMode::kLayerWise) {
      Substitute(section, name, "one zero point per channel on the requantizer's input",
                 "symmetric", [](Section& s) {
                   s.has_zero_point = false;
                   s.is_signed = true;
                 });
    }
    notes_.push_back(
        {LoweringNote::Kind::kInfo, FullName(name),
         "output_quant_enable puts an int8 step behind the linear layer: a double rounding"});
    return section;
  }

  Section Residual(TensorRole role, int block, const std::string& tensor) {
    Section section = Get(role, block);
    RejectHeadWise(section, tensor);
    // PtfObserver's channels share one zero point.
    if (section.calibration_mode == CalibrationMode::kChannelWise && section.has_zero_point &&
        section.observer != ObserverKind::kPtf) {
      Substitute(section, tensor, "channel_wise residual stream with a zero point for each channel",
                 "channel_wise symmetric", [](Section& s) {
                   s.has_zero_point = false;
                   s.is_signed = true;
                 });
    }
    return section;
  }

  Section Scores() {
    Section section = Get(TensorRole::kAttnKvOut, block_);
    if (section.calibration_mode == CalibrationMode::kChannelWise) {
      Substitute(section, "attn_kv_out", "channel_wise scores: a softmax row needs one scale",
                 "head_wise", [](Section& s) { s.calibration_mode = CalibrationMode::kHeadWise; });
    }
    return section;
  }

  // The algorithm fixes type and scale of its output; only a request for something else is a
  // conflict.
  Section Softmax(SoftmaxKind kind) {
    Section section = Get(TensorRole::kIntSoft, block_);
    if (section.calibration_mode != CalibrationMode::kLayerWise) {
      Substitute(section, "intSoft",
                 fmt::format("{} softmax output: its one scale is fixed by the algorithm",
                             Name(section.calibration_mode)),
                 "layer_wise",
                 [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
    }
    const bool log2 = section.method == QuantMethod::kLog2;
    const int bits = kind == SoftmaxKind::kLogInt ? 4 : 8;
    if (section.bits != bits && (log2 || kind != SoftmaxKind::kLogInt)) {
      Substitute(section, "intSoft",
                 fmt::format("{} bits: softmax {} gives {}", section.bits, Name(kind), bits),
                 fmt::format("bits: {}", bits), [bits](Section& s) { s.bits = bits; });
    }
    return section;
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

  void RejectHeadWise(Section& section, const std::string& tensor) {
    if (section.calibration_mode != CalibrationMode::kHeadWise) return;
    Substitute(section, tensor, "head_wise: this tensor has no heads", "channel_wise",
               [](Section& s) { s.calibration_mode = CalibrationMode::kChannelWise; });
  }

  void RequireLayerWise(Section& section, const std::string& tensor, const std::string& why) {
    if (section.calibration_mode == CalibrationMode::kLayerWise) return;
    Substitute(section, tensor, fmt::format("{}: {}", Name(section.calibration_mode), why),
               "layer_wise", [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
  }

  void RejectBothChannelWise(const Section& q, Section& k) {
    if (q.calibration_mode != CalibrationMode::kChannelWise ||
        k.calibration_mode != CalibrationMode::kChannelWise) {
      return;
    }
    Substitute(
        k, "attn_k_out",
        "channel_wise on both Q and K: channels are the contraction axis of QK^T, so one factor "
        "serves both",
        "layer_wise", [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
  }

  // In power-of-two mode each ratio of scales is 2^-S; these requests tie a scale to two that are
  // not powers of two of each other.
  void RejectPowerOfTwoConflicts(AttentionPlan& plan) {
    if (plan.hardware.requant != RequantMode::kPowerOfTwo) return;
    if (plan.qkv_output.output_quant_enable) {
      Substitute(plan.qkv_output, "attn_qkv.output",
                 "output_quant_enable with requant: power_of_two: one int8 step cannot be a power "
                 "of two apart "
                 "from Q, K and V at once",
                 "output_quant_enable: False", [](Section& s) { s.output_quant_enable = false; });
    }
    if (plan.scores.calibration_mode == CalibrationMode::kHeadWise &&
        plan.qkv_weight.calibration_mode == CalibrationMode::kLayerWise) {
      Substitute(plan.scores, "attn_kv_out",
                 "head_wise scores with layer_wise attn_qkv weights and requant: power_of_two",
                 "layer_wise",
                 [](Section& s) { s.calibration_mode = CalibrationMode::kLayerWise; });
    }
  }

  const Config& config_;
  int block_;
  Realise realise_;
  std::vector<LoweringNote>& notes_;
};

}  // namespace

Section LogitsSection() {
  Section section;
  section.bits = 16;
  return section;
}

AttentionPlan PlanAttention(const Config& config, int block, Realise realise,
                            std::vector<LoweringNote>& notes) {
  return Planner(config, block, realise, notes).Attention();
}

MlpPlan PlanMlp(const Config& config, int block, Realise realise,
                std::vector<LoweringNote>& notes) {
  return Planner(config, block, realise, notes).Mlp();
}

EndsPlan PlanEnds(const Config& config, Realise realise, std::vector<LoweringNote>& notes) {
  return Planner(config, -1, realise, notes).Ends();
}

}  // namespace qsim
