#include "sim/calibrate/lower/lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/semantics/multiplier.h"
#include "sim/calibrate/lower/program_builder.h"
#include "sim/semantics/softmax_lowering.h"
#include "sim/error.h"

namespace qsim {
namespace {

class AttentionLowering {
 public:
  AttentionLowering(const VitModel& model, std::int64_t block, const AttentionPlan& plan,
                    const AttentionRanges& ranges, Realise realise, Bundle& bundle)
      : g_(model.geometry),
        weights_(model.blocks[static_cast<std::size_t>(block)]),
        prefix_(fmt::format("blocks.{}.", block)),
        channels_(static_cast<std::size_t>(g_.dim)),
        heads_(static_cast<std::size_t>(g_.heads)),
        plan_(plan),
        ranges_(ranges),
        realise_(realise),
        builder_(bundle, plan.hardware, plan.numerics) {}

  Activation Lower(const Activation* chained) {
    const Activation stream = chained != nullptr ? *chained : LowerInput();
    norm1_ = builder_.Layernorm(prefix_ + "norm1", weights_.norm1, plan_.norm1, ranges_.norm1,
                                stream, g_.tokens);
    ChooseQkvScales();
    LowerQkv();
    LowerScores();
    LowerSoftmax();
    LowerAttentionOutput();
    return LowerProjection(stream);
  }

 private:
  Shape ScoreShape() const { return {g_.heads, g_.tokens, g_.tokens}; }

  Activation LowerInput() {
    Activation input =
        builder_.ChooseStream(prefix_ + "input", plan_.input, ranges_.input, channels_);
    builder_.DefineActivation(input, g_.tokens);
    builder_.program().inputs.push_back(input.name);
    return input;
  }

  // One head's scores, never finer than what was observed.
  ScoreChoice Scores(double observed, std::size_t head) {
    const SoftmaxKind kind = plan_.softmax_kind;
    const auto choice = ChooseScores(kind, observed, ExtraBits());
    if (choice) return *choice;
    const ScoreChoice coarsest = CoarsestScores(kind, ExtraBits());
    const std::string problem = fmt::format(
        "head {}: scores need a scale of {:.3g}, and the integer exponential at most {:.4g}", head,
        observed, coarsest.scale);
    if (realise_ == Realise::kExact) {
      throw InputError(
          fmt::format("{}: {}attn_kv_out: cannot be realised in integers: {}; give the scores more "
                      "bits (bit_type.bits up to 16), or --realise nearest to clip them",
                      plan_.scores.origin, prefix_, problem));
    }
    builder_.Note(LoweringNote::Kind::kSubstitution, prefix_ + "attn_kv_out",
                  problem + ": clipped");
    return coarsest;
  }

  // j of ibert_rn's output scale 2^-(8 + j): the one with the least error in calibration.
  int ExtraBits() const {
    if (plan_.softmax_kind != SoftmaxKind::kIbertRn) return 0;
    const auto least = std::min_element(ranges_.softmax_error.begin(), ranges_.softmax_error.end());
    return static_cast<int>(least - ranges_.softmax_error.begin());
  }

  void ChooseQkvScales() {
    k_ = builder_.Choose(prefix_ + "attn_k_out", plan_.k, ranges_.k, channels_);
    v_ = builder_.Choose(prefix_ + "attn_v_input", plan_.v, ranges_.v, channels_);
    scores_.name = prefix_ + "attn_kv_out";
    scores_.range = RangeOf(plan_.scores);
    const std::vector<RealRange> score_range = Expanded(ranges_.scores, heads_);
    for (std::size_t h = 0; h < heads_; ++h) {
      const double observed =
          QuantizationOf(score_range[h], scores_.range, plan_.scores.has_zero_point).scale;
      const ScoreChoice choice = Scores(observed, h);
      softmax_params_.push_back(choice.params);
      scores_.scale.push_back(choice.scale);
      scores_.zero.push_back(ZeroPointFor(score_range[h], scores_.scale[h], scores_.range,
                                          plan_.scores.has_zero_point));
    }
    q_ = builder_.Choose(prefix_ + "attn_q_out", plan_.q, ranges_.q, channels_);
    if (builder_.power_of_two()) SnapQToScores();
    ProgramBuilder::Recentre(k_);
    ProgramBuilder::Recentre(v_);
  }

  // s_q s_k / sqrt(d) / s_scores = 2^-S, and s_scores is tied to the exponential's constants: s_q
  // gives way.
  void SnapQToScores() {
    const std::vector<RealRange> range = Expanded(ranges_.q, channels_);
    const double root = std::sqrt(static_cast<double>(g_.head_dim()));
    const bool one_scale = plan_.q.calibration_mode != CalibrationMode::kHeadWise &&
                           plan_.scores.calibration_mode == CalibrationMode::kLayerWise;
    for (std::size_t c = 0; c < channels_; ++c) {
      const std::size_t from = one_scale ? 0 : c;
      const double unit = scores_.scale[from * heads_ / channels_] * root / k_.scale[from];
      q_.scale[c] = SnapUp(q_.scale[c], unit);
      q_.zero[c] = ZeroPointFor(range[c], q_.scale[c], q_.range, plan_.q.has_zero_point);
    }
    if (!one_scale && plan_.q.calibration_mode != CalibrationMode::kHeadWise) {
      builder_.Note(LoweringNote::Kind::kInfo, q_.name,
                    "requant: power_of_two with head_wise scores makes the scale per head");
    }
  }

  void LowerQkv() {
    LinearRequest request;
    request.weight = weights_.qkv.weight;
    request.bias = weights_.qkv.bias;
    request.section = plan_.qkv_weight;
    request.row_groups = RowGroups(plan_.qkv_weight, 3, 3 * g_.heads, 3 * g_.dim);
    std::vector<double> tap_factor(3 * channels_, 1.0);
    for (std::size_t c = 0; c < channels_; ++c) {
      // channel_wise Q or K: Q's rows are divided by f_c, K's multiplied.
      tap_factor[c] = ranges_.qk_factor[c];
      tap_factor[channels_ + c] = 1 / ranges_.qk_factor[c];
    }
    for (std::size_t row = 0; row < 3 * channels_; ++row) {
      for (std::size_t i = 0; i < channels_; ++i) {
        float& w = request.weight.data[row * channels_ + i];
        w = static_cast<float>(static_cast<double>(w) / tap_factor[row]);
      }
      request.bias[row] =
          static_cast<float>(static_cast<double>(request.bias[row]) / tap_factor[row]);
    }
    if (builder_.power_of_two()) {
      request.adjust = [&, input_scale = ProgramBuilder::AbsorbedScale(norm1_)](std::int64_t row,
                                                                                double observed) {
        const auto r = static_cast<std::size_t>(row);
        const Activation& target = r < channels_ ? q_ : r < 2 * channels_ ? k_ : v_;
        return SnapUp(observed, target.scale[r % channels_] / input_scale);
      };
    }
    std::string source = prefix_ + "attn_qkv";
    std::vector<double> source_scale =
        builder_.Linear(source, norm1_, g_.tokens, std::move(request), tap_factor);
    std::int32_t source_zero = 0;
    if (plan_.qkv_output.output_quant_enable) {
      const Activation quant = builder_.OutputQuant(source, plan_.qkv_output, ranges_.qkv_output,
                                                    source_scale, tap_factor, g_.tokens);
      source = quant.name;
      source_scale = quant.scale;
      source_zero = quant.zero[0];
    }
    const Activation* parts[] = {&q_, &k_, &v_};
    for (std::size_t p = 0; p < 3; ++p) {
      Activation part = *parts[p];
      std::vector<double> ratios;
      for (std::size_t c = 0; c < channels_; ++c) {
        const std::size_t row = p * channels_ + c;
        ratios.push_back(source_scale[row] / part.scale[c]);
        part.scale[c] *= tap_factor[row];
      }
      builder_.DefineActivation(part, g_.tokens);
      builder_.Requantize(part.name, source, static_cast<std::int64_t>(p * channels_),
                          ChannelAxis::kLast, ratios, part.zero, source_zero);
    }
  }

  void LowerScores() {
    const std::size_t head_dim = channels_ / heads_;
    MatmulOp op;
    op.output = prefix_ + "attn_kv_out.acc";
    op.lhs = q_.name;
    op.rhs = k_.name;
    op.heads = static_cast<int>(g_.heads);
    op.transpose_rhs = true;
    op.acc = plan_.hardware.acc;
    std::vector<double> ratios;
    std::vector<double> acc_scale;
    for (std::size_t h = 0; h < heads_; ++h) {
      op.lhs_zero.push_back(q_.zero[h * head_dim]);
      op.rhs_zero.push_back(k_.zero[h * head_dim]);
      acc_scale.push_back(q_.scale[h * head_dim] * k_.scale[h * head_dim] /
                          std::sqrt(static_cast<double>(g_.head_dim())));
      ratios.push_back(acc_scale[h] / scores_.scale[h]);
    }
    op.lhs_zero = Compressed(op.lhs_zero);
    op.rhs_zero = Compressed(op.rhs_zero);
    builder_.DefineAccumulator(prefix_ + "attn_kv_out.acc", ScoreShape());
    builder_.SetScale(prefix_ + "attn_kv_out.acc", ChannelAxis::kFirst, acc_scale,
                      std::vector<std::int32_t>(heads_, 0));
    builder_.program().ops.emplace_back(std::move(op));
    builder_.DefineTensor(scores_.name, ScoreShape(), scores_.range);
    builder_.SetScale(scores_.name, ChannelAxis::kFirst, scores_.scale, scores_.zero);
    builder_.Requantize(scores_.name, prefix_ + "attn_kv_out.acc", 0, ChannelAxis::kFirst, ratios,
                        scores_.zero, 0);
  }

  void LowerSoftmax() {
    SoftmaxOp op;
    op.output = prefix_ + "intSoft";
    op.input = scores_.name;
    op.params = Compressed(softmax_params_);
    builder_.program().ops.emplace_back(std::move(op));
    const SoftmaxParams& params = softmax_params_.front();
    const QuantRange range = SoftmaxOutputRange(params);
    // 8 bits whatever the range: the array reads its left operand as uint8 or int8.
    builder_.program().tensors.push_back(
        {prefix_ + "intSoft", ScoreShape(), range.qmin < 0 ? DType::kInt8 : DType::kUint8, range});
    const TensorScale scale = SoftmaxOutputScale(params);
    const bool log2 = scale.kind == TensorScale::Kind::kLog2;
    // The array sees a log2 code c as 2^(15 - c).
    softmax_scale_ = log2 ? std::ldexp(1.0, -15) : scale.scale[0];
    softmax_zero_ = scale.zero[0];
    builder_.bundle().scales[prefix_ + "intSoft"] = scale;
  }

  void LowerAttentionOutput() {
    MatmulOp op;
    op.output = prefix_ + "attn_v_out.acc";
    op.lhs = prefix_ + "intSoft";
    op.rhs = v_.name;
    op.heads = static_cast<int>(g_.heads);
    op.mode =
        plan_.softmax_kind == SoftmaxKind::kLogInt ? OperandMode::kShift : OperandMode::kMultiply;
    op.lhs_zero = {softmax_zero_};
    op.rhs_zero = Compressed(v_.zero);
    op.acc = plan_.hardware.acc;
    builder_.DefineAccumulator(prefix_ + "attn_v_out.acc", Shape{g_.tokens, g_.dim});
    builder_.program().ops.emplace_back(std::move(op));
    attention_ = builder_.Choose(prefix_ + "attn_v_out", plan_.attention, ranges_.attention,
                                 channels_, v_.scale[0] * softmax_scale_);
    std::vector<double> acc_scale = v_.scale;
    std::vector<double> ratios;
    for (std::size_t c = 0; c < channels_; ++c) {
      acc_scale[c] *= softmax_scale_;
      ratios.push_back(acc_scale[c] / attention_.scale[c]);
    }
    builder_.SetScale(prefix_ + "attn_v_out.acc", ChannelAxis::kLast, acc_scale,
                      std::vector<std::int32_t>(channels_, 0));
    builder_.DefineActivation(attention_, g_.tokens);
    builder_.Requantize(attention_.name, prefix_ + "attn_v_out.acc", 0, ChannelAxis::kLast, ratios,
                        attention_.zero, 0);
  }

  Activation LowerProjection(const Activation& stream) {
    ProgramBuilder::StreamAdd add;
    add.layer = prefix_ + "attn_proj";
    add.weights = &weights_.proj;
    add.weight_section = plan_.proj_weight;
    add.row_groups = RowGroups(plan_.proj_weight, 1, g_.heads, g_.dim);
    add.output_section = plan_.proj_output;
    add.output_ranges = ranges_.proj_output;
    add.output = prefix_ + "residual1";
    add.stream_section = plan_.residual1;
    add.stream_ranges = ranges_.residual1;
    return builder_.AddToStream(add, attention_, stream, g_.tokens);
  }

  const VitGeometry& g_;
  const BlockWeights& weights_;
  std::string prefix_;
  std::size_t channels_;
  std::size_t heads_;
  const AttentionPlan& plan_;
  const AttentionRanges& ranges_;
  Realise realise_;
  ProgramBuilder builder_;

  Activation norm1_, q_, k_, v_, scores_, attention_;
  std::vector<SoftmaxParams> softmax_params_;  // one per head
  double softmax_scale_ = 1;
  std::int32_t softmax_zero_ = 0;
};

}  // namespace

Activation LowerAttention(const VitModel& model, std::int64_t block, const AttentionPlan& plan,
                          const AttentionRanges& ranges, Realise realise, Bundle& bundle,
                          const Activation* stream) {
  return AttentionLowering(model, block, plan, ranges, realise, bundle).Lower(stream);
}

}  // namespace qsim
